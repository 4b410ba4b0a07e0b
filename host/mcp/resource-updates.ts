import { AppError, quotePath, rawPathOf, type SessionEvent } from "../../proto/index.ts";
import { readFilePath, readResource } from "../present/session-resources.ts";
import type { Sessions } from "../session/sessions.ts";

/** A resource is told of at most this often (ms). */
const INTERVAL_MS = 1_000;
/** Most resources that one client is told of: each session among them is a stream of the host's. */
const MAX_URIS = 200;

/** A resource that somebody has subscribed to. */
interface Watched {
  uri: string;
  sessionId: string;
  concerns: (event: SessionEvent["event"]) => boolean;
  /** Runs while it was told of of late. */
  timer?: NodeJS.Timeout | undefined;
  /** It has changed since. */
  again?: boolean;
}

/**
 * Tells a client of changes of the resources that it has subscribed to: of each at once, and then once in a second at most.
 * A session that is watched so has somebody who watches it, as by any other stream.
 */
export class ResourceUpdates implements Disposable {
  readonly #sessions: Pick<Sessions, "get" | "watch">;
  readonly #tell: (uri: string) => void;
  /** URIs by subscription. */
  readonly #subscriptions = new Map<unknown, readonly string[]>();
  readonly #watched = new Map<string, Watched>();
  readonly #streams = new Map<string, AbortController>();

  constructor(sessions: Pick<Sessions, "get" | "watch">, tell: (uri: string) => void) {
    this.#sessions = sessions;
    this.#tell = tell;
  }

  /**
   * Begins a subscription, by a key of its own. Resources that there are not are left out of it. Throws LIMIT_INVALID for one
   * too many.
   */
  async begin(key: unknown, uris: readonly string[]): Promise<void> {
    if (this.#watched.size + uris.length > MAX_URIS) {
      throw new AppError("LIMIT_INVALID", `No more than ${MAX_URIS} resources can be subscribed to at once.`, {
        help: "Unsubscribe from others first.",
      });
    }
    this.#subscriptions.set(key, uris);
    for (const uri of uris) await this.#watch(uri);
  }

  /** Ends a subscription. Nothing happens if there is none. */
  end(key: unknown): void {
    if (!this.#subscriptions.delete(key)) return;
    const wanted = new Set([...this.#subscriptions.values()].flat());
    for (const { uri, timer } of this.#watched.values()) {
      if (wanted.has(uri)) continue;
      clearTimeout(timer);
      this.#watched.delete(uri);
    }
    const left = new Set([...this.#watched.values()].map(({ sessionId }) => sessionId));
    for (const [id, stream] of this.#streams) {
      if (left.has(id)) continue;
      // It ends later; who subscribes meanwhile needs another one.
      this.#streams.delete(id);
      stream.abort();
    }
  }

  [Symbol.dispose](): void {
    for (const key of this.#subscriptions.keys()) this.end(key);
  }

  async #watch(uri: string): Promise<void> {
    const { sessionId, part } = readResource(uri) ?? { sessionId: "", part: "" };
    const session = await this.#sessions.get(sessionId).catch(() => undefined);
    const isWanted = [...this.#subscriptions.values()].some((uris) => uris.includes(uri));
    if (session === undefined || !isWanted || this.#watched.has(uri)) return;
    this.#watched.set(uri, { uri, sessionId, concerns: concernOf(part) });
    if (this.#streams.has(sessionId)) return;
    const stream = new AbortController();
    this.#streams.set(sessionId, stream);
    const follow = async () => {
      const options = { afterSequence: session.lastSequence, signal: stream.signal };
      for await (const events of this.#sessions.watch(sessionId, options)) {
        for (const { event } of events) this.#take(sessionId, event);
      }
    };
    // What is wrong with a session is told where it is read.
    void follow()
      .catch(() => {})
      .finally(() => {
        if (this.#streams.get(sessionId) === stream) this.#streams.delete(sessionId);
      });
  }

  #take(sessionId: string, event: SessionEvent["event"]): void {
    for (const watched of this.#watched.values()) {
      if (watched.sessionId === sessionId && watched.concerns(event)) this.#changed(watched);
    }
  }

  #changed(watched: Watched): void {
    if (watched.timer !== undefined) {
      watched.again = true;
      return;
    }
    this.#tell(watched.uri);
    watched.timer = setTimeout(() => {
      watched.timer = undefined;
      if (watched.again !== true) return;
      watched.again = false;
      this.#changed(watched);
    }, INTERVAL_MS).unref();
  }
}

/** Which events change a part of a session. The end changes each: by it the session's changes are collected anew. */
function concernOf(part: string): Watched["concerns"] {
  const path = readFilePath(part);
  const quoted = path === undefined ? undefined : quotePath(rawPathOf(path));
  return ({ case: kind, value }) => {
    if (part === "" || kind === "sessionFinished") return true;
    if (part === "answer") return kind === "turnFinished";
    if (kind !== "filePatched" || value.partIndex !== value.partCount - 1) return false;
    const { path: changed, previousPath } = value.change ?? {};
    return part === "patch" || (quoted !== undefined && (changed === quoted || previousPath === quoted));
  };
}
