/** A container that is paused, or a machine that sleeps, does not run: at most this is counted at a time. */
const STEP_MS = 1_000;

/** Calls back once this process has run for so long. Returns what takes the call back. */
export function afterRunning(ms: number, onElapsed: () => void): () => void {
  let timer: NodeJS.Timeout;
  const countDown = (leftMs: number) => {
    const stepMs = Math.min(leftMs, STEP_MS);
    timer = setTimeout(() => (leftMs > stepMs ? countDown(leftMs - stepMs) : onElapsed()), stepMs);
  };
  countDown(ms);
  return () => clearTimeout(timer);
}
