// Watchers of a load run, in a process of their own: over the control API, as everybody's are. The first ones stall.
import { ControlClient } from "../../host/control/control-client.ts";
import { RemoteSessions } from "../../host/control/remote-sessions.ts";
import { type Cost, measureCost } from "./process-cost.ts";
import { secondOf } from "./quiet-seconds.ts";
import { type Seen, watch } from "./watcher.ts";

/** What the process is told at its start. */
export interface WatchersOrder {
  socketPath: string;
  /** A watcher each. */
  sessionIds: string[];
  stalledCount: number;
  connectionCount: number;
}

/** What the process is told later. */
export type WatchersWord = "measure" | "measured" | "resume";

/** What the process says: all watch; all have seen the end. */
export type WatchersNote =
  | { case: "watching" }
  | { case: "done"; latencies: Latency[]; eventCount: number; watchers: Seen[]; cost: Cost | undefined };

/** From an event's emission to a watcher, and the second in which it came. */
export interface Latency {
  ms: number;
  second: number;
}

const say = (note: WatchersNote) => process.send!(note);
const { promise: resumed, resolve: resume } = Promise.withResolvers<undefined>();
const never = new AbortController().signal;
const latencies: Latency[] = [];
let eventCount = 0;
let measuring: ReturnType<typeof measureCost> | undefined;
let cost: Cost | undefined;

process.on("disconnect", () => process.exit());
process.on("message", (message: WatchersOrder | WatchersWord) => {
  if (message === "measure") measuring = measureCost();
  else if (message === "measured") {
    cost = measuring?.take();
    measuring = undefined;
  } else if (message === "resume") resume(undefined);
  else void run(message);
});

async function run({ socketPath, sessionIds, stalledCount, connectionCount }: WatchersOrder) {
  const clients = Array.from({ length: connectionCount }, () => new ControlClient(socketPath));
  const remotes = clients.map((client) => new RemoteSessions({ client }));
  const onEvent = (ms: number | undefined) => {
    if (measuring === undefined) return;
    eventCount++;
    if (ms !== undefined) latencies.push({ ms, second: secondOf(process.hrtime.bigint()) });
  };
  let waiting = sessionIds.length;
  const onFirst = () => {
    if (--waiting === 0) say({ case: "watching" });
  };
  const watchers = await Promise.all(
    sessionIds.map((sessionId, index) => {
      const stalled = index < stalledCount;
      const options = { signal: never, onFirst, ...(stalled ? { stalledUntil: resumed } : { onEvent }) };
      return watch(remotes[index % connectionCount]!, sessionId, options);
    }),
  );
  say({ case: "done", latencies, eventCount, watchers, cost });
  for (const client of clients) client[Symbol.dispose]();
}
