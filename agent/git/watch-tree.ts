import type { Identity } from "../process/identity.ts";
import { signalGroup, spawnAs } from "../process/run.ts";

/** Between two ticks when the kernel does not tell us of changes. */
const POLL_MS = 2000;
/** Between two ticks when it does: some changes pass it by, such as those in a directory that was only just made. */
const SAFETY_MS = 30_000;

const EVENTS = "modify,attrib,move,create,delete,delete_self,move_self,unmount";

/**
 * Yields at once, and then whenever something in the tree may have changed; any number of changes between two
 * calls make one tick. Where inotifywait cannot run or reaches a limit, yields every two seconds. Ends when the
 * signal aborts or the caller leaves, and leaves no process behind.
 */
export async function* watchTree(
  directory: string,
  options: { identity: Identity | undefined; signal: AbortSignal; command?: string },
): AsyncGenerator<void> {
  const { identity, signal } = options;
  if (signal.aborted) return;
  const args = ["-m", "-r", "-q", "--format", ".", "-e", EVENTS, "--exclude", "/\\.git(/|$)", "--", directory];
  const env = { PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C" };
  const child = spawnAs(options.command ?? "inotifywait", args, { identity, env, stdio: ["ignore", "pipe", "ignore"] });
  const ended = new AbortController();
  let changed = true;
  let wake: (() => void) | undefined;
  const tick = (): void => {
    changed = true;
    wake?.();
  };
  const gone = new Promise<void>((resolve) => {
    child.on("error", () => resolve());
    child.on("exit", () => resolve());
  }).then(() => {
    ended.abort();
    tick();
  });
  child.stdout?.on("data", tick);
  signal.addEventListener("abort", tick, { once: true });
  try {
    while (!signal.aborted) {
      if (changed) {
        changed = false;
        yield;
        continue;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      const timer = setTimeout(tick, ended.signal.aborted ? POLL_MS : SAFETY_MS);
      await promise;
      clearTimeout(timer);
    }
  } finally {
    signal.removeEventListener("abort", tick);
    signalGroup(child, "SIGKILL");
    await gone;
  }
}

