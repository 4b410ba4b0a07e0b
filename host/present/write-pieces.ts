import type { Output } from "./terminal.ts";

/** Writes bytes as they come, as fast as they are taken. Stops when the output takes no more. Returns whether all has arrived. */
export async function writePieces(
  output: Output & { destroyed?: boolean },
  pieces: AsyncIterable<Uint8Array>,
): Promise<boolean> {
  for await (const piece of pieces) {
    if (output.destroyed === true) return false;
    if (!output.write(piece)) await taken(output);
  }
  const failure = await new Promise<unknown>((resolve) => void output.write("", resolve));
  return (failure ?? undefined) === undefined && output.destroyed !== true;
}

function taken(output: Output): Promise<void> {
  return new Promise((resolve) => {
    const events = ["drain", "close", "error"];
    const done = () => {
      for (const event of events) output.off(event, done);
      resolve();
    };
    for (const event of events) output.on(event, done);
  });
}
