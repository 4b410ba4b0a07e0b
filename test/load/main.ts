// Measures the host under load on the fake runtime: what it costs, and how fast an event gets from its agent to a
// watcher of the control API. Host, agents and watchers are three processes. Started by `npm run soak:load`.
// Options: --sessions N, --rate EVENTS_PER_SECOND, --watchers N, --stalled N (of them), --lists N, --seconds S,
// --observed PAIRS (of windows without and with metrics, traces and open pages), --idle N,N,…, --json FILE.
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { collectOldObjectsSeldom } from "../../host/daemon/old-objects.ts";
import { giveUnusedMemoryBack } from "../../host/daemon/unused-memory.ts";
import { printTable } from "../bench/statistics.ts";
import { type BusyFigures, measureBusy } from "./busy.ts";
import { type IdleFigures, measureIdle } from "./idle.ts";

const { values } = parseArgs({
  options: {
    sessions: { type: "string", default: "50" },
    rate: { type: "string", default: "20" },
    watchers: { type: "string", default: "200" },
    stalled: { type: "string", default: "1" },
    lists: { type: "string", default: "4" },
    seconds: { type: "string", default: "30" },
    observed: { type: "string", default: "5" },
    idle: { type: "string", default: "100,500,1000" },
    json: { type: "string" },
  },
});

// As every host does.
collectOldObjectsSeldom();
void giveUnusedMemoryBack({ signal: new AbortController().signal });
const say = (text: string) => process.stderr.write(`${text}\n`);
const rows = (figures: object): string[][] =>
  Object.entries(figures).flatMap(([name, value]: [string, unknown]) =>
    typeof value === "object" && value !== null
      ? rows(value).map(([part = "", ...cells]) => [`${name} ${part}`, ...cells])
      : [[name, Number(value).toFixed(2)]],
  );

const options = {
  sessionCount: Number(values.sessions),
  eventsPerSecond: Number(values.rate),
  watcherCount: Number(values.watchers),
  stalledCount: Number(values.stalled),
  listReaderCount: Number(values.lists),
  seconds: Number(values.seconds),
  observedPairs: Number(values.observed),
};
const machine = { cpuCount: availableParallelism(), node: process.version };
let busy: BusyFigures | undefined;
let idle: IdleFigures[] | undefined;
if (options.sessionCount > 0) {
  say(`${options.sessionCount} sessions x ${options.eventsPerSecond} events/s, ${options.watcherCount} watchers`);
  busy = await measureBusy(options);
  printTable(["busy", ""], rows(busy));
}
const counts = values.idle
  .split(",")
  .map(Number)
  .filter((count) => count > 0);
if (counts.length > 0) {
  say(`${counts.join(", ")} idle sessions`);
  const measured = await measureIdle(counts);
  idle = measured;
  printTable(
    ["idle", ...measured.map(({ sessionCount }) => String(sessionCount))],
    Object.keys(measured[0]!).map((name) => [
      name,
      ...measured.map((each) => each[name as keyof typeof each].toFixed(2)),
    ]),
  );
}
const worst = (of: (figures: IdleFigures) => number) => Math.max(...(idle ?? []).map(of)).toFixed(3);
printTable(
  ["goal", "at most", "measured"],
  [
    ...(busy === undefined
      ? []
      : [
          ["event to watcher, p99, ms", "10", busy.p99Ms.toFixed(1)],
          ...(busy.observed === undefined
            ? []
            : [["metrics, traces and open pages, % of a processor", "3", busy.observed.costCpuPercent.toFixed(1)]]),
          [`the same in ${busy.quietSeconds} quiet seconds`, "10", busy.quietP99Ms.toFixed(1)],
        ]),
    ...(idle === undefined
      ? []
      : [
          ["memory of a session that waits, MiB", "0.2", worst(({ waitingMiBEach }) => waitingMiBEach)],
          ["memory of one that has finished, MiB", "0.2", worst(({ finishedMiBEach }) => finishedMiBEach)],
        ]),
  ],
);
const report = JSON.stringify({ machine, options, busy, idle }, null, 2);
if (values.json === undefined) process.stdout.write(`${report}\n`);
else await writeFile(values.json, `${report}\n`);
