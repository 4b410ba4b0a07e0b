import { lstatSync } from "node:fs";

const LOOK_AGAIN_MS = 1_000;

/**
 * Resolves once one of the files is gone, or another file has its name. Never rejects, and never resolves after the
 * signal.
 */
export function filesReplaced(paths: readonly string[], { signal }: { signal: AbortSignal }): Promise<void> {
  const numbers = () => paths.map((path) => lstatSync(path, { throwIfNoEntry: false })?.ino);
  const before = numbers();
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      const now = numbers();
      if (before.every((number, index) => number !== undefined && number === now[index])) return;
      clearInterval(timer);
      resolve();
    }, LOOK_AGAIN_MS);
    timer.unref();
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  });
}
