import { createHash, timingSafeEqual } from "node:crypto";

/** Caller from elsewhere, as the token says that it has shown. */
export interface RemoteCaller {
  /** Name of its token. Empty: the token that all may share. */
  name: string;
  /** Signal that is aborted once its token counts no more. */
  revoked: AbortSignal;
}

/** Callers that may come in over TCP. */
export interface Callers {
  /** Returns who shows a token in an authorization header; the same object for each call. Undefined: nobody may come in with it. */
  find(authorization: string | undefined): RemoteCaller | undefined;
}

/** Token that somebody may show. */
export interface KnownToken {
  digest: Buffer;
  caller: RemoteCaller;
}

/** Returns what is known of the one token that all callers share. It has no name, and counts as long as the host runs. */
export function sharedToken(token: string): KnownToken {
  return { digest: digestOf(token), caller: { name: "", revoked: new AbortController().signal } };
}

/** Returns callers who all show one token. */
export function callersWith(token: string): Callers {
  const known = [sharedToken(token)];
  return { find: (authorization) => findCaller(authorization, known) };
}

/** Returns the caller whose token is shown. The time that it takes tells nothing of the tokens: each is compared, by its digest. */
export function findCaller(authorization: string | undefined, known: Iterable<KnownToken>): RemoteCaller | undefined {
  const token = /^Bearer (.+)$/i.exec(authorization ?? "")?.[1];
  if (token === undefined) return undefined;
  const shown = digestOf(token);
  let found: RemoteCaller | undefined;
  for (const { digest, caller } of known) if (timingSafeEqual(shown, digest)) found ??= caller;
  return found;
}

/** Returns what is kept of a token. It is as hard to guess as the token is, which is random and long. */
export function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
