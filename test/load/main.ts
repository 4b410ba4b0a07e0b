// Measures the host under load on the fake runtime: what it costs, and how fast an event gets from its agent to a
// watcher of the control API. Host, agents and watchers are three processes. Started by `npm run soak:load`.
// Options: --sessions N, --rate EVENTS_PER_SECOND, --watchers N, --stalled N (of them), --seconds S, --idle N,N,…, --json FILE.
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { printTable } from "../bench/statistics.ts";
import { type BusyFigures, measureBusy } from "./busy.ts";
import { type IdleFigures, measureIdle } from "./idle.ts";

const { values } = parseArgs({
  options: {
    sessions: { type: "string", default: "50" },
    rate: { type: "string", default: "20" },
    watchers: { type: "string", default: "200" },
    stalled: { type: "string", default: "1" },
    seconds: { type: "string", default: "30" },
    idle: { type: "string", default: "100,500,1000" },
    json: { type: "string" },
  },
});

const say = (text: string) => process.stderr.write(`${text}\n`);
const rows = (figures: object) => Object.entries(figures).map(([name, value]) => [name, Number(value).toFixed(2)]);

const options = {
  sessionCount: Number(values.sessions),
  eventsPerSecond: Number(values.rate),
  watcherCount: Number(values.watchers),
  stalledCount: Number(values.stalled),
  seconds: Number(values.seconds),
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
const report = JSON.stringify({ machine, options, busy, idle }, null, 2);
if (values.json === undefined) process.stdout.write(`${report}\n`);
else await writeFile(values.json, `${report}\n`);
