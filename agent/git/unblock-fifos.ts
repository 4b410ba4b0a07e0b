import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../../proto/index.ts";
import { type GitPlace, runIn } from "./git.ts";

/** Longer than any healthy command takes to open its files, short enough for a live view. */
const SUSPECT_AFTER_MS = 1000;
const BETWEEN_ATTEMPTS_MS = 250;
/** Hashing the most that one scan takes on (a gigabyte) is done by then. */
const MAX_WORK_MS = 120_000;

/**
 * Opens every named pipe that git may have taken for one of its files, for reading and writing, and closes it again:
 * whoever waits in open() for a writer goes on and finds it empty.
 */
const UNBLOCK = [
  ["-type", "p", "(", "-name", ".gitignore", "-o", "-name", ".gitattributes", "-o", "-name", ".gitmodules"],
  ["-o", "-path", "*/.git", "-o", "-path", "*/.git/*", ")"],
  ["-exec", "sh", "-c", 'for fifo; do : 1<>"$fifo"; done', "sh", "{}", "+"],
].flat();

/**
 * Runs work that reads the work tree, and does not let it hang: a named pipe called .gitignore would hold git for ever.
 * Throws WORK_TREE_STUCK after two minutes.
 */
export async function withoutBlocking<T>(
  place: GitPlace,
  workTree: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stuck = new AbortController();
  const done = new AbortController();
  const watching = unblockUntil(place, workTree, AbortSignal.any([signal, done.signal]), stuck);
  try {
    return await work(AbortSignal.any([signal, stuck.signal]));
  } finally {
    done.abort();
    await watching;
  }
}

async function unblockUntil(
  place: GitPlace,
  workTree: string,
  signal: AbortSignal,
  stuck: AbortController,
): Promise<void> {
  try {
    await sleep(SUSPECT_AFTER_MS, undefined, { signal });
    for (const start = performance.now(); performance.now() - start < MAX_WORK_MS;) {
      await runIn(place, "find", [`${workTree}/`, ...UNBLOCK], { signal });
      await sleep(BETWEEN_ATTEMPTS_MS, undefined, { signal });
    }
    stuck.abort(
      new AppError("WORK_TREE_STUCK", `Reading the work tree did not end within ${MAX_WORK_MS / 1000} s.`, {
        retryable: true,
      }),
    );
  } catch {
    // The work is done or given up, or find could not run: the work itself says how it went.
  }
}
