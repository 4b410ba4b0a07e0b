// Measures what a session costs against the obvious alternatives, interleaved in one run. Started by `npm run bench`.
// Options: --rounds N (spawns), --long-rounds N (sessions of --long-seconds S), --json FILE.
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { startRig } from "../support/rig.ts";
import { plainRun } from "./docker-run.ts";
import { measureBareClaude, measureSession } from "./sessions.ts";
import { median, printTable } from "./statistics.ts";

const IMAGE = process.env["CLAUDECLUSTER_IMAGE"] ?? "claudecluster/agent:latest";
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "9" },
    "long-rounds": { type: "string", default: "3" },
    "long-seconds": { type: "string", default: "60" },
    json: { type: "string" },
  },
});
const rounds = Number(values.rounds);
const longRounds = Number(values["long-rounds"]);
const shortTask = "[scenario: small-edit]";
const longTask = `[scenario: long-run seconds=${values["long-seconds"]} steps=30]`;

const say = (text: string) => process.stderr.write(`${text}\n`);
await using rig = await startRig();
say("warming up");
await plainRun(IMAGE);
await measureSession(rig, shortTask);
await measureBareClaude(rig, shortTask);

const samples: Record<string, number[]> = {};
const add = (name: string, ms: number) => (samples[name] ??= []).push(ms);
const ratios: Record<string, number[]> = {};
const addRatio = (name: string, ours: number, theirs: number) => (ratios[name] ??= []).push(ours / theirs);

for (let round = 1; round <= rounds; round++) {
  say(`spawn ${round} of ${rounds}`);
  // In turn, so that a drift of the machine favours nobody.
  const order = round % 2 === 1 ? ["plain", "ours", "bare"] : ["bare", "ours", "plain"];
  const took: Record<string, number> = {};
  for (const what of order) {
    if (what === "plain") add("docker run --rm … true", (took["plain"] = await plainRun(IMAGE)));
    if (what === "bare") {
      const bare = await measureBareClaude(rig, shortTask);
      add("bare claude: start → first model request", (took["bareFirst"] = bare.toFirstRequest));
      add("bare claude: whole short task", (took["bareWhole"] = bare.whole));
    }
    if (what === "ours") {
      const ours = await measureSession(rig, shortTask);
      add("session: call → agent answers", (took["ours"] = ours.toAgent));
      add("session: call → first model request", (took["oursFirst"] = ours.toFirstRequest));
      add("session: whole short task", (took["oursWhole"] = ours.whole));
      for (const [phase, ms] of Object.entries(ours.phases)) add(`phase ${phase}`, ms);
    }
  }
  addRatio("cold spawn: call → agent answers / docker run", took["ours"]!, took["plain"]!);
  addRatio("call → first model request / bare claude's", took["oursFirst"]!, took["bareFirst"]!);
  addRatio("whole short task / bare claude's", took["oursWhole"]!, took["bareWhole"]!);
}
for (let round = 1; round <= longRounds; round++) {
  say(`long session ${round} of ${longRounds}`);
  const bareFirst = round % 2 === 1;
  const first = bareFirst ? (await measureBareClaude(rig, longTask)).work : (await measureSession(rig, longTask)).work;
  const second = bareFirst ? (await measureSession(rig, longTask)).work : (await measureBareClaude(rig, longTask)).work;
  const [ours, bare] = bareFirst ? [second, first] : [first, second];
  add("long task, first request → final result: session", ours);
  add("long task, first request → final result: bare claude", bare);
  addRatio("long task, first request → final result / bare claude's", ours, bare);
}

printTable(
  ["what", "median ms", "min", "max", "n"],
  Object.entries(samples).map(([name, ms]) => [
    name,
    median(ms).toFixed(0),
    Math.min(...ms).toFixed(0),
    Math.max(...ms).toFixed(0),
    String(ms.length),
  ]),
);
process.stdout.write("\n");
printTable(
  ["ratio (median of the rounds' ratios)", "median", "min", "max"],
  Object.entries(ratios).map(([name, all]) => [
    name,
    median(all).toFixed(3),
    Math.min(...all).toFixed(3),
    Math.max(...all).toFixed(3),
  ]),
);
const medians = (all: Record<string, number[]>) =>
  Object.fromEntries(Object.entries(all).map(([name, list]) => [name, median(list)]));
const report = {
  machine: { cpus: availableParallelism(), node: process.versions.node },
  medians_ms: medians(samples),
  ratios: medians(ratios),
  samples_ms: samples,
};
if (values.json === undefined) process.stdout.write(`\n${JSON.stringify(report)}\n`);
else await writeFile(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
