import { randomBytes, timingSafeEqual } from "node:crypto";
import { digestOf } from "../callers/callers.ts";

/** Time in which a code lets a browser in (ms). */
const CODE_MS = 60_000;
/** Time without a call after which a browser is signed out (ms). */
const IDLE_MS = 12 * 60 * 60 * 1000;
/** More than one person's codes and browsers; the one that was used the longest time ago makes room. */
const MAX_COUNT = 32;

/** What a browser has to show: the cookie, which no script can read, and the key, which no other port is sent. */
export interface Proof {
  cookie: string;
  key: string;
}

/** Browser that is signed in. */
export interface SignIn {
  /** Notes a call that is under way. What is returned is called at its end. */
  begin(): () => void;
}

interface KnownSignIn extends SignIn {
  key: Buffer;
  openCalls: number;
  usedMs: number;
}

/** Browsers that are signed in, and codes for others. Only digests are kept, in memory alone. */
export class SignIns {
  readonly #now: () => number;
  /** By their digests: when they expire. */
  readonly #codes = new Map<string, number>();
  /** By the digests of their cookies. */
  readonly #signIns = new Map<string, KnownSignIn>();

  /** Takes a clock (ms), for tests. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether a call of a browser is under way. */
  get inUse(): boolean {
    return [...this.#signIns.values()].some(({ openCalls }) => openCalls > 0);
  }

  /** Returns a code that lets one browser in, for a minute. */
  makeCode(): string {
    const code = randomBytes(16).toString("base64url");
    const now = this.#now();
    for (const [digest, expireMs] of this.#codes) if (expireMs <= now) this.#codes.delete(digest);
    makeRoom(this.#codes, (expireMs) => expireMs);
    this.#codes.set(nameOf(code), now + CODE_MS);
    return code;
  }

  /** Swaps a code for what a browser shows from then on. Undefined: the code does not count, or no more. */
  signIn(code: string): Proof | undefined {
    const digest = nameOf(code);
    const expireMs = this.#codes.get(digest);
    this.#codes.delete(digest);
    if (expireMs === undefined || expireMs <= this.#now()) return undefined;
    makeRoom(this.#signIns, ({ openCalls, usedMs }) => (openCalls > 0 ? Infinity : usedMs));
    const proof = { cookie: randomBytes(32).toString("base64url"), key: randomBytes(32).toString("base64url") };
    this.#signIns.set(nameOf(proof.cookie), this.#newSignIn(proof.key));
    return proof;
  }

  /** Returns the browser that shows this. Undefined: none that is signed in. */
  find({ cookie, key }: Proof): SignIn | undefined {
    const name = nameOf(cookie);
    const known = this.#signIns.get(name);
    if (known === undefined) return undefined;
    if (known.openCalls === 0 && this.#now() - known.usedMs > IDLE_MS) {
      this.#signIns.delete(name);
      return undefined;
    }
    return timingSafeEqual(known.key, digestOf(key)) ? known : undefined;
  }

  #newSignIn(key: string): KnownSignIn {
    const signIn: KnownSignIn = {
      key: digestOf(key),
      openCalls: 0,
      usedMs: this.#now(),
      begin: () => {
        signIn.openCalls += 1;
        return () => {
          signIn.openCalls -= 1;
          signIn.usedMs = this.#now();
        };
      },
    };
    return signIn;
  }
}

/** Whoever looks for it by its digest learns nothing from the time that it takes. */
function nameOf(secret: string): string {
  return digestOf(secret).toString("hex");
}

function makeRoom<T>(known: Map<string, T>, ageOf: (one: T) => number): void {
  if (known.size < MAX_COUNT) return;
  const [oldest] = [...known].sort(([, one], [, other]) => ageOf(one) - ageOf(other));
  known.delete(oldest![0]);
}
