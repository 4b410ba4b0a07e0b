// Measures what a session costs against the obvious alternatives, interleaved in one run. Started by `npm run bench`.
// Options: --only PART,PART, --rounds N, --long-rounds N (sessions of --long-seconds S), --requests N (of each size to the model),
// --repository DIRECTORY (for live and local: a real one instead of one that is made), --json FILE.
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { cold } from "./cold.ts";
import { download } from "./download.ts";
import { Figures } from "./figures.ts";
import { firstToken } from "./first-token.ts";
import { live } from "./live.ts";
import { local } from "./local.ts";
import { long } from "./long.ts";
import type { Part } from "./part.ts";
import { sealing } from "./sealing.ts";
import { snapshot } from "./snapshot.ts";
import { spawn } from "./spawn.ts";
import { start } from "./start.ts";
import { upload } from "./upload.ts";
import { workspace } from "./workspace.ts";

const PARTS: Record<string, Part> = {
  start,
  spawn,
  cold,
  sealing,
  download,
  "first-token": firstToken,
  long,
  workspace,
  snapshot,
  upload,
  live,
  local,
};
const { values } = parseArgs({
  options: {
    only: { type: "string", default: Object.keys(PARTS).join(",") },
    rounds: { type: "string", default: "9" },
    "long-rounds": { type: "string", default: "3" },
    "long-seconds": { type: "string", default: "60" },
    requests: { type: "string", default: "200" },
    repository: { type: "string" },
    json: { type: "string" },
  },
});
const chosen = values.only.split(",").map((name) => {
  const part = PARTS[name];
  if (part === undefined) throw new Error(`There is no part "${name}"; there are ${Object.keys(PARTS).join(", ")}.`);
  return part;
});

const figures = new Figures();
for (const part of chosen) {
  await part({
    image: process.env["CLAUDECLUSTER_IMAGE"] ?? "claudecluster/agent:latest",
    rounds: Number(values.rounds),
    longRounds: Number(values["long-rounds"]),
    longSeconds: Number(values["long-seconds"]),
    requests: Number(values.requests),
    repository: values.repository,
    figures,
    say: (text) => process.stderr.write(`${text}\n`),
  });
}
figures.print();
const report = { machine: { cpus: availableParallelism(), node: process.versions.node }, ...figures.toJSON() };
if (values.json === undefined) process.stdout.write(`\n${JSON.stringify(report)}\n`);
else await writeFile(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
