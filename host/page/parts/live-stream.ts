/** The host says something every five seconds; a stream that is silent for so long is dead (ms). */
const SILENCE_MS = 20_000;
/** Name of the lock of the one page that keeps a stream out of sight. */
const BACKGROUND = "claudecluster-background";

/** Signal of a stream's reader, and whether one page of all may go on reading it out of sight. */
export interface LiveStreamOptions {
  signal: AbortSignal;
  /** Default: false. */
  background?: boolean;
}

/**
 * Yields what a stream with heartbeats says, until its end, the signal or silence. A page out of sight has none, but takes it
 * up once it is seen: browsers make six connections to a host at most, for all of their pages together.
 */
export async function* liveStream<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  { signal, background = false }: LiveStreamOptions,
): AsyncGenerator<T> {
  const over = new AbortController();
  const ends = AbortSignal.any([signal, over.signal]);
  const letGo = () => over.abort();
  let silence: ReturnType<typeof setTimeout> | undefined;
  const hear = () => {
    clearTimeout(silence);
    silence = setTimeout(letGo, SILENCE_MS);
  };
  const mayRead = async () => !document.hidden || (background && (await keepOutOfSight(ends)));
  const onLook = async () => {
    if (!(await mayRead())) letGo();
  };
  try {
    if (!(await mayRead())) await inSight(signal);
    document.addEventListener("visibilitychange", () => void onLook(), { signal: ends });
    hear();
    for await (const message of open(ends)) {
      hear();
      yield message;
    }
  } finally {
    clearTimeout(silence);
    letGo();
  }
}

/** Returns whether this page is the one that keeps its stream out of sight. It is until it is seen, or the signal. */
function keepOutOfSight(signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    // Only a page from loopback, or by TLS, has locks.
    if (!("locks" in navigator)) return resolve(false);
    const held = async (lock: Lock | null) => {
      resolve(lock !== null);
      if (lock !== null) await inSight(signal);
    };
    navigator.locks.request(BACKGROUND, { ifAvailable: true }, held).catch(() => resolve(false));
  });
}

/** Resolves once the page is seen, or with the signal. */
function inSight(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
    look();
  });
}
