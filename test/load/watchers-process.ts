// The watchers of a load run, in a process of their own: over the control API, as everybody's are. The first ones stall.
import { ControlClient } from "../../host/control/control-client.ts";
import { RemoteSessions } from "../../host/control/remote-sessions.ts";
import { type Seen, watch } from "./watcher.ts";

/** What the process is told at its start. */
export interface WatchersOrder {
  socketPath: string;
  sessionIds: string[];
  watcherCount: number;
  stalledCount: number;
  connectionCount: number;
}

/** What the process says: all watch; all have seen the end. */
export type WatchersNote =
  { case: "watching" } | { case: "done"; latenciesMs: number[]; watchers: Seen[]; cpuMs: number; rssBytes: number };

const say = (note: WatchersNote) => process.send!(note);
const { promise: resumed, resolve: resume } = Promise.withResolvers<undefined>();
const stop = new AbortController();

process.on("disconnect", () => process.exit());
process.on("message", (message: WatchersOrder | "measure" | "measured" | "resume" | "stop") => {
  if (message === "measure") measuring = true;
  else if (message === "measured") measuring = false;
  else if (message === "resume") resume(undefined);
  else if (message === "stop") stop.abort();
  else void run(message);
});

const latenciesMs: number[] = [];
let measuring = false;

async function run({ socketPath, sessionIds, watcherCount, stalledCount, connectionCount }: WatchersOrder) {
  const clients = Array.from({ length: connectionCount }, () => new ControlClient(socketPath));
  const onLatency = (ms: number) => void (measuring && latenciesMs.push(ms));
  let waiting = watcherCount;
  const onFirst = () => {
    if (--waiting === 0) say({ case: "watching" });
  };
  const watchers = await Promise.all(
    Array.from({ length: watcherCount }, (_, index) => {
      const stalled = index < stalledCount;
      const sessions = new RemoteSessions({ client: clients[index % connectionCount]! });
      const options = { signal: stop.signal, onFirst, ...(stalled ? { stalledUntil: resumed } : { onLatency }) };
      return watch(sessions, sessionIds[index % sessionIds.length]!, options);
    }),
  );
  const { user, system } = process.cpuUsage();
  say({
    case: "done",
    latenciesMs,
    watchers,
    cpuMs: (user + system) / 1000,
    rssBytes: process.memoryUsage.rss(),
  });
  for (const client of clients) client[Symbol.dispose]();
}
