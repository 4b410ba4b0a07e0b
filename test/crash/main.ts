// The crash suite in full: real sessions, killed at random. Started by `npm run soak`.
// Options: --kills N, --seed N, --concurrent N, --engine live|plain|newer|machine, --kinds host,bridge,…
import { inspect, parseArgs } from "node:util";
import { OWN_ENGINES, runCrashes } from "./crash-run.ts";
import type { KillKind } from "./kills.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "100" },
    seed: { type: "string", default: String(Math.floor(Date.now() / 1000)) },
    concurrent: { type: "string", default: "3" },
    engine: { type: "string", default: "live" },
    kinds: { type: "string" },
  },
});
// Pauses apart: an exec that meets one in the wrong moment locks a container of old engines up for good.
const common: KillKind[] = [
  "host",
  "host",
  "host",
  "bridge",
  "bridge",
  "bridge",
  "agent",
  "container",
  "remove",
  "pooled",
  "claim",
];
const engine = OWN_ENGINES.find((name) => name === values.engine);
process.stdout.write(`seed ${values.seed}\n`);
const startMs = Date.now();
const run = runCrashes({
  seed: Number(values.seed),
  kills: Number(values.kills),
  concurrent: Number(values.concurrent),
  kinds:
    (values.kinds?.split(",") as KillKind[] | undefined) ?? (engine === undefined ? common : [...common, "engine"]),
  ...(engine !== undefined && { engine }),
  say: (line) => process.stdout.write(`${((Date.now() - startMs) / 1000).toFixed(0).padStart(5)}s  ${line}\n`),
});
const report = await run.catch((error: unknown) => {
  // With what was suppressed while everything was being ended.
  process.stderr.write(`${inspect(error, { depth: 6 })}\n`);
  process.exit(1);
});
process.stdout.write(
  `${JSON.stringify({ seed: values.seed, seconds: (Date.now() - startMs) / 1000, ...report }, undefined, 2)}\n`,
);
process.stdout.write(`${report.sessions - report.wrong.length} passed, ${report.wrong.length} failed\n`);
if (report.wrong.length > 0) process.exitCode = 1;
