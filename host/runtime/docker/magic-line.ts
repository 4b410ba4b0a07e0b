import type { Duplex } from "node:stream";

/** The bridge's first line, once the agent has accepted. */
const MAGIC = Buffer.from("AGENT-DIAL/1\n");
/** What is kept of anything else: it is an error's text. */
const KEPT_BYTES = 2_048;

/**
 * Takes the bridge's first line off a stream. What follows stays in it. If the stream ends without the line, it is
 * destroyed, and the text that came instead is returned. Rejects with the signal's reason.
 */
export async function awaitMagic(stream: Duplex, { signal }: { signal: AbortSignal }): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  let seen = Buffer.alloc(0);
  const onReadable = () => {
    for (let chunk = read(stream); chunk !== null; chunk = read(stream)) {
      seen = Buffer.concat([seen, chunk]);
      if (seen.subarray(0, MAGIC.length).equals(MAGIC)) {
        // Before the rest is put back: that announces it again, and this is not its reader.
        stream.off("readable", onReadable);
        if (seen.length > MAGIC.length) stream.unshift(seen.subarray(MAGIC.length));
        return resolve(undefined);
      }
      if (seen.length > KEPT_BYTES) return resolve(seen.toString("utf8", 0, KEPT_BYTES));
    }
  };
  const onClose = () => resolve(seen.toString());
  const onAbort = () => reject(signal.reason as Error);
  stream.on("readable", onReadable).on("close", onClose).on("error", ignore);
  signal.addEventListener("abort", onAbort);
  let instead: string | undefined = "";
  try {
    if (signal.aborted) onAbort();
    return (instead = await promise);
  } finally {
    signal.removeEventListener("abort", onAbort);
    stream.off("readable", onReadable).off("close", onClose);
    // The listener for errors stays on a stream that is given up.
    if (instead === undefined) stream.off("error", ignore);
    else stream.destroy();
  }
}

function read(stream: Duplex): Buffer | null {
  return stream.read() as Buffer | null;
}

/** The end is told by "close". */
function ignore(): void {}
