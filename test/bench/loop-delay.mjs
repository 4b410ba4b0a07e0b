// Tells how long this process was kept from its events: for each connection to the socket that its URL names, the longest
// time in ms since the one before. To be imported ahead of a program: `node --import …/loop-delay.mjs?socket=PATH`.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createServer } from "node:net";
import { isMainThread } from "node:worker_threads";

/** Starts to watch. Returns the function that gives the longest time (ms) since it was last called. */
export function watchLoop() {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  return () => {
    const { max } = histogram;
    histogram.reset();
    return max / 1e6;
  };
}

const path = new URL(import.meta.url).searchParams.get("socket");
if (path !== null && isMainThread) {
  const longest = watchLoop();
  createServer((socket) => void socket.on("error", () => {}).end(String(longest())))
    .listen(path)
    .unref();
}
