import { rest } from "../wait.ts";

/** Together more than a host needs to come back; until then its connections are held anyway. */
const ATTEMPTS = 8;
const PAUSE_MS = 250;

/** Count by which a cut connection is noticed. */
export interface RetryCutOptions {
  /**
   * Returns the number of connections out of the container that were cut so far by other than their programs. Default:
   * none ever is.
   */
  cutCount?: (() => number) | undefined;
  signal: AbortSignal;
}

/**
 * Runs a command that talks to a remote, again if it fails while a connection was cut: the host, or the way to it, went
 * away.
 */
export async function retryCut<T>(
  { cutCount = () => 0, signal }: RetryCutOptions,
  run: () => Promise<T>,
  succeeded: (result: T) => boolean,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const before = cutCount();
    const result = await run();
    if (succeeded(result) || cutCount() === before || attempt === ATTEMPTS) return result;
    if (!(await rest(PAUSE_MS * attempt, signal))) return result;
  }
}
