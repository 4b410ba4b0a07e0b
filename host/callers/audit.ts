import { join } from "node:path";
import { asAppError, cutChars } from "../../proto/index.ts";
import { BoundedLog } from "../bounded-log.ts";
import type { Sessions } from "../session/sessions.ts";

/** Two files of this size hold some hundred thousand calls (bytes). */
const MAX_BYTES = 32 * 1024 * 1024;
const MAX_REFUSED_BYTES = 1024 * 1024;
/** Most refusals that are written in a minute; the first line after it says how many more there were. */
const REFUSALS = 20;
const MINUTE_MS = 60_000;
const MAX_CHARS = 64;

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
 * Record in the state directory, one JSON document a line: audit.log, and audit-refused.log for strangers. Both are made when they
 * are needed, for this user alone, and bounded. What cannot be written is lost, and the call goes on.
 */
export class AuditLog implements Audit {
  readonly #stateDirectory: string;
  #log: BoundedLog | undefined;
  #refusedLog: BoundedLog | undefined;
  #minute = { startMs: 0, count: 0 };

  constructor(stateDirectory: string) {
    this.#stateDirectory = stateDirectory;
  }

  note({ caller, way, method, sessionId, outcome }: AuditedCall): void {
    this.#log ??= this.#open("audit.log", MAX_BYTES);
    const session = sessionId === "" ? {} : { session_id: cutChars(sessionId, MAX_CHARS) };
    const call = {
      time: new Date().toISOString(),
      caller,
      way,
      method: cutChars(method, MAX_CHARS),
      ...session,
      outcome,
    };
    this.#log?.write(`${JSON.stringify(call)}\n`);
  }

  refused({ way, method }: Pick<AuditedCall, "way" | "method">): void {
    const nowMs = Date.now();
    let missed = 0;
    if (nowMs - this.#minute.startMs >= MINUTE_MS) {
      missed = Math.max(0, this.#minute.count - REFUSALS);
      this.#minute = { startMs: nowMs, count: 0 };
    }
    this.#minute.count++;
    if (this.#minute.count > REFUSALS) return;
    this.#refusedLog ??= this.#open("audit-refused.log", MAX_REFUSED_BYTES);
    const time = new Date(nowMs).toISOString();
    const call = {
      time,
      way,
      method: cutChars(method, MAX_CHARS),
      outcome: "TOKEN_INVALID",
      ...(missed > 0 && { missed }),
    };
    this.#refusedLog?.write(`${JSON.stringify(call)}\n`);
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
