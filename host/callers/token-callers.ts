import { lstatSync } from "node:fs";
import type { Logger } from "pino";
import { type Callers, findCaller, type KnownToken, type RemoteCaller, sharedToken } from "./callers.ts";
import { type NamedToken, readTokens, tokensPath } from "./tokens-file.ts";

/** So soon do open calls end whose token was removed (ms). */
const LOOK_AGAIN_MS = 250;

/** Token of a caller, and how to end its calls. */
interface Known extends KnownToken {
  over: AbortController;
}

/**
 * Callers with tokens of their own, as the state directory has them now, and those with the token that all share. One whose
 * token is removed gets in no more at once, and the calls that it has open end. Dispose of it.
 */
export class TokenCallers implements Callers, Disposable {
  readonly #stateDirectory: string;
  readonly #shared: readonly KnownToken[];
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #known = new Map<string, Known>();
  #version = "";

  constructor(options: { stateDirectory: string; shared: string | undefined; logger: Logger }) {
    this.#stateDirectory = options.stateDirectory;
    this.#shared = options.shared === undefined ? [] : [sharedToken(options.shared)];
    this.#logger = options.logger;
    this.#refresh();
  }

  /** Whether anybody has a token. */
  get any(): boolean {
    return this.#shared.length + this.#known.size > 0;
  }

  find(authorization: string | undefined): RemoteCaller | undefined {
    this.#refresh();
    return findCaller(authorization, [...this.#shared, ...this.#known.values()]);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #refresh(): void {
    const version = versionOf(tokensPath(this.#stateDirectory));
    if (version === this.#version) return;
    this.#version = version;
    const before = this.#known;
    this.#known = new Map();
    for (const token of this.#read()) {
      const key = `${token.sha256} ${token.name}`;
      this.#known.set(key, before.get(key) ?? knownOf(token));
    }
    clearInterval(this.#timer);
    // Whoever comes in looks anew; only calls that are open have nobody to look for them.
    if (this.#known.size > 0) this.#timer = setInterval(() => this.#refresh(), LOOK_AGAIN_MS).unref();
    for (const [key, { over, caller }] of before) {
      if (this.#known.has(key)) continue;
      this.#logger.info({ caller: caller.name }, "a caller's token was removed");
      over.abort(new Error("the caller's token was removed"));
    }
  }

  #read(): NamedToken[] {
    try {
      return readTokens(this.#stateDirectory);
    } catch (error) {
      this.#logger.error({ err: error }, "callers' tokens cannot be read");
      return [];
    }
  }
}

function knownOf({ name, sha256 }: NamedToken): Known {
  const over = new AbortController();
  return { digest: Buffer.from(sha256, "hex"), caller: { name, revoked: over.signal }, over };
}

/** Another one whenever the file may be another. */
function versionOf(path: string): string {
  try {
    const { ino, size, mode, mtimeNs, ctimeNs } = lstatSync(path, { bigint: true });
    return [ino, size, mode, mtimeNs, ctimeNs].join(" ");
  } catch {
    return "";
  }
}
