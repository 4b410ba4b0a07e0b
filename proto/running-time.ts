/** A container that is paused, or a machine that sleeps, does not run: at most this is counted at a time. */
const STEP_MS = 1_000;

/**
 * Calls back once this process has run for `ms`. Time in which it did not get to run does not count. Returns the
 * function that cancels it.
 */
export function afterRunning(ms: number, onElapsed: () => void): () => void {
  let timer: NodeJS.Timeout;
  const countDown = (leftMs: number) => {
    const stepMs = Math.min(leftMs, STEP_MS);
    timer = setTimeout(() => (leftMs > stepMs ? countDown(leftMs - stepMs) : onElapsed()), stepMs);
  };
  countDown(ms);
  return () => clearTimeout(timer);
}

/**
 * Calls back once something has stood still for `ms` of this process's running time. `progress` returns a new value
 * whenever something has moved. Returns the function that cancels it.
 */
export function afterStandstill(
  { ms, progress }: { ms: number; progress: () => unknown },
  onElapsed: () => void,
): () => void {
  const stepMs = Math.min(ms, STEP_MS);
  let timer: NodeJS.Timeout | NodeJS.Immediate;
  let before = progress();
  let stillMs = 0;
  const look = () => {
    const now = progress();
    stillMs = now === before ? stillMs + stepMs : 0;
    before = now;
    if (stillMs < ms) timer = setTimeout(step, stepMs);
    else onElapsed();
  };
  // What came while this process did not run, or was busy, is read first.
  const step = () => (timer = setImmediate(look));
  timer = setTimeout(step, stepMs);
  return () => {
    clearTimeout(timer as NodeJS.Timeout);
    clearImmediate(timer as NodeJS.Immediate);
  };
}
