import type { Identity } from "../process/identity.ts";
import { signalGroup, spawnAs } from "../process/run.ts";
import { INOTIFY_ARGS, inotifyReader } from "./inotify-events.ts";
import type { TouchedPaths } from "./touched-paths.ts";

/** Between two ticks when the kernel does not tell us of changes. */
const POLL_MS = 2000;
/** Between two ticks when it does, and nothing happens: some changes pass it by, such as those through mapped memory. */
const SAFETY_MS = 30_000;
/** What happens in a directory before inotifywait has got to it is not told: one more tick some time later. */
const SETTLE_MS = 1000;

/**
 * Yields at once, and then whenever something in the tree may have changed: once for any number of changes between two
 * calls. Notes in `touched` what changed. Where inotifywait cannot run, or reaches a limit, it yields every two
 * seconds. Ends when the signal aborts or the caller leaves; no process is left behind.
 */
export async function* watchTree(
  directory: string,
  options: { identity: Identity | undefined; touched: TouchedPaths; signal: AbortSignal; command?: string },
): AsyncGenerator<void> {
  const { identity, touched, signal } = options;
  if (signal.aborted) return;
  const env = { PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C" };
  const child = spawnAs(options.command ?? "inotifywait", [...INOTIFY_ARGS, "--", directory], {
    identity,
    env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  let polling = false;
  let changed = true;
  let wake: () => void = () => undefined;
  let settling: NodeJS.Timeout | undefined;
  const tick = (): void => {
    changed = true;
    wake();
  };
  const tickUnknown = (): void => {
    touched.addUnknown();
    tick();
  };
  const settle = (): void => {
    settling ??= setTimeout(() => {
      settling = undefined;
      tickUnknown();
    }, SETTLE_MS);
  };
  const read = inotifyReader(directory, (event) => {
    if (event === undefined) touched.addUnknown();
    else if (!(event.more ? touched.addAround(event.path) : touched.add(event.path))) return;
    if (event?.more !== false) settle();
    tick();
  });
  const gone = new Promise<void>((resolve) => {
    child.on("error", () => resolve());
    child.on("exit", () => resolve());
  }).then(() => {
    polling = true;
    tickUnknown();
  });
  child.stdout?.on("data", read);
  signal.addEventListener("abort", tick, { once: true });
  touched.addUnknown();
  settle();
  try {
    while (!signal.aborted) {
      if (changed) {
        changed = false;
        yield;
        continue;
      }
      const { promise, resolve } = Promise.withResolvers<undefined>();
      wake = () => resolve(undefined);
      const timer = setTimeout(tickUnknown, polling ? POLL_MS : SAFETY_MS);
      await promise;
      clearTimeout(timer);
    }
  } finally {
    clearTimeout(settling);
    signal.removeEventListener("abort", tick);
    signalGroup(child, "SIGKILL");
    await gone;
    clearTimeout(settling);
  }
}
