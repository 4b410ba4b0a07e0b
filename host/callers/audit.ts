import { join } from "node:path";
import { asAppError, cutChars } from "../../proto/index.ts";
import { BoundedLog } from "../bounded-log.ts";
import type { Sessions } from "../session/sessions.ts";

/** Two files of this size hold some hundred thousand calls (bytes). */
const MAX_BYTES = 32 * 1024 * 1024;
const MAX_REFUSED_BYTES = 1024 * 1024;
/** Most lines of strangers in a minute. */
const REFUSALS = 20;
/** Most lines of one caller in a minute in audit.log: it takes hours to fill a file with them, and nobody does as much. */
const DEEDS = 600;
const MINUTE_MS = 60_000;
const MAX_CHARS = 64;
/** Calls that change nothing, by any way, and the start of a stream on which changes are asked for one by one. */
const READS = /^(?:get|list|watch|read|check|compare|open|serverreflection)|^attach$/i;

/** Call of somebody over TCP. Nothing of what it carries is in it. */
export interface AuditedCall {
  /** Name of the caller's token; PAGE for the host's page. Empty: the token that all may share. */
  caller: string;
  /** Way that it came in. */
  way: "control" | "mcp" | "page";
  method: string;
  sessionId: string;
  /** "ok", or the reason of the refusal. */
  outcome: string;
}

/** What the page is called. No token has such a name. */
export const PAGE = "the host's page";

/** Record of who did what over TCP. */
export interface Audit {
  note(call: AuditedCall): void;
  /** Notes a call of somebody who may not call. Strangers push nothing else out of the record, and cannot fill the disk. */
  refused(call: Pick<AuditedCall, "way" | "method">): void;
}

/**
 * Record in the state directory, one JSON document a line: audit.log of what callers have done, audit-reads.log of what they have looked
 * at, were refused, or did more often than anybody does, and audit-refused.log of strangers. They are made when they are needed, for
 * this user alone, and bounded. However often somebody looks, or is refused, what was done stays. What cannot be written is lost, and
 * the call goes on.
 */
export class AuditLog implements Audit {
  readonly #stateDirectory: string;
  readonly #logs = new Map<string, BoundedLog>();
  readonly #strangers = new Minutes(REFUSALS);
  readonly #callers = new Map<string, Minutes>();

  constructor(stateDirectory: string) {
    this.#stateDirectory = stateDirectory;
  }

  note({ caller, way, method, sessionId, outcome }: AuditedCall): void {
    const session = sessionId === "" ? {} : { session_id: cutChars(sessionId, MAX_CHARS) };
    const call = { caller, way, method: cutChars(method, MAX_CHARS), ...session, outcome };
    // A stream that is left had begun.
    const done = ["ok", "left"].includes(outcome) && !READS.test(method);
    if (!done) return this.#write("audit-reads.log", call);
    const minutes = this.#callers.get(caller) ?? new Minutes(DEEDS);
    this.#callers.set(caller, minutes);
    const missed = minutes.missed();
    if (missed === undefined) this.#write("audit-reads.log", call);
    else this.#write("audit.log", { ...call, ...(missed > 0 && { missed }) });
  }

  refused({ way, method }: Pick<AuditedCall, "way" | "method">): void {
    const missed = this.#strangers.missed();
    if (missed === undefined) return;
    const call = { way, method: cutChars(method, MAX_CHARS), outcome: "TOKEN_INVALID" };
    this.#write("audit-refused.log", { ...call, ...(missed > 0 && { missed }) }, MAX_REFUSED_BYTES);
  }

  #write(name: string, call: object, maxBytes = MAX_BYTES): void {
    const log = this.#logs.get(name) ?? this.#open(name, maxBytes);
    if (log === undefined) return;
    this.#logs.set(name, log);
    log.write(`${JSON.stringify({ time: new Date().toISOString(), ...call })}\n`);
  }

  #open(name: string, maxBytes: number): BoundedLog | undefined {
    try {
      return BoundedLog.open(join(this.#stateDirectory, name), { maxBytes });
    } catch {
      // Whoever looks at the directory is told: status and doctor.
      return undefined;
    }
  }
}

/** Minutes, in each of which so many lines are written. */
class Minutes {
  readonly #limit: number;
  #startMs = -Infinity;
  #count = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Counts a line. Returns how many were too many in the minute before; undefined where this one is. */
  missed(): number | undefined {
    const nowMs = performance.now();
    let missed = 0;
    if (nowMs - this.#startMs >= MINUTE_MS) {
      missed = Math.max(0, this.#count - this.#limit);
      this.#startMs = nowMs;
      this.#count = 0;
    }
    return ++this.#count > this.#limit ? undefined : missed;
  }
}

/** Returns the sessions for somebody, each of whose calls is noted once it has been answered, or has begun to be. */
export function audited(
  sessions: Sessions,
  { audit, ...who }: { audit: Audit } & Pick<AuditedCall, "caller" | "way">,
): Sessions {
  const once = (method: string, sessionId: string) => {
    let noted = false;
    return (outcome: string, id = sessionId) => {
      if (!noted) audit.note({ ...who, method, sessionId: id, outcome });
      noted = true;
    };
  };
  const call = async <T>(method: string, sessionId: string, answer: Promise<T>): Promise<T> => {
    const note = once(method, sessionId);
    try {
      const value = await answer;
      note("ok", method === "create" ? (value as { id: string }).id : sessionId);
      return value;
    } catch (error) {
      note(asAppError(error).reason);
      throw error;
    }
  };
  const stream = <T>(method: string, sessionId: string, items: AsyncIterable<T>) =>
    noteFirst(items, once(method, sessionId));
  return {
    create: (request) => call("create", "", sessions.create(request)),
    get: (id) => call("get", id, sessions.get(id)),
    list: (request) => call("list", "", sessions.list(request)),
    watch: (id, options) => stream("watch", id, sessions.watch(id, options)),
    watchAll: (request) => stream("watchAll", "", sessions.watchAll(request)),
    stop: (id, options) => call("stop", id, sessions.stop(id, options)),
    interrupt: (id) => call("interrupt", id, sessions.interrupt(id)),
    sendMessage: (id, message) => call("sendMessage", id, sessions.sendMessage(id, message)),
    decide: (id, decision) => call("decide", id, sessions.decide(id, decision)),
    answer: (id, answer) => call("answer", id, sessions.answer(id, answer)),
    markTaken: (id, taken) => call("markTaken", id, sessions.markTaken(id, taken)),
    delete: (id, options) => call("delete", id, sessions.delete(id, options)),
    openArtifact: (id, kind) => call("openArtifact", id, sessions.openArtifact(id, kind)),
    dial: (id, bytes, options) => stream("dial", id, sessions.dial(id, bytes, options)),
  };
}

/** Passes items on, and notes with the first one, or what comes in its place, how it went. */
export async function* noteFirst<T>(
  items: AsyncIterable<T>,
  note: (outcome: string) => void,
): AsyncGenerator<T, undefined> {
  try {
    for await (const item of items) {
      note("ok");
      yield item;
    }
    note("ok");
  } catch (error) {
    note(asAppError(error).reason);
    throw error;
  } finally {
    note("left");
  }
}
