import type { Duplex } from "node:stream";

/**
 * Joins two streams. Bytes pass both ways, no faster than the slower side takes them. The end of one direction leaves
 * the other open. When one stream is gone, the other goes once it has sent what it was given.
 */
export function joinStreams(one: Duplex, other: Duplex): void {
  pass(one, other);
  pass(other, one);
}

function pass(from: Duplex, to: Duplex): void {
  from.on("error", () => {}); // Told by "close".
  from.once("close", () => {
    if (from.readableEnded) to.end(() => to.destroy());
    else to.destroy();
  });
  from.pipe(to);
}
