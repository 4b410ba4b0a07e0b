// Many sessions one after the other on Docker: whether anything grows that should not. Started by `npm run soak:many`.
// Option: --sessions N.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { create } from "@bufbuild/protobuf";
import { ContainerSpecSchema, RepositorySpecSchema, Session_State, SessionSpecSchema } from "../../proto/index.ts";
import { printTable } from "../bench/statistics.ts";
import { startHostRig } from "../support/rig.ts";

const { values } = parseArgs({ options: { sessions: { type: "string", default: "200" } } });
const count = Number(values.sessions);

await using rig = await startHostRig();
const { place, link, repository: uri } = rig;
const { processId } = await link.connect();

/** What is to be as it was. */
function measure(): Record<string, number> {
  const status = readFileSync(`/proc/${processId}/status`, "utf8");
  const files = readdirSync(place.directories.stateDirectory);
  const lines = (...args: string[]) => execFileSync("docker", args, { encoding: "utf8" }).split("\n").length - 1;
  const bytes = files.reduce((sum, name) => sum + statSync(join(place.directories.stateDirectory, name)).size, 0);
  return {
    descriptors: readdirSync(`/proc/${processId}/fd`).length,
    memoryMb: Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024),
    threads: Number(/Threads:\s+(\d+)/.exec(status)![1]),
    storeKb: Math.round(bytes / 1024),
    containers: lines("ps", "--all", "--quiet", "--filter", "label=dev.claudecluster.session"),
    volumes: lines("volume", "ls", "--quiet"),
  };
}

async function runOne(): Promise<void> {
  const { id } = await link.sessions.create({
    spec: create(SessionSpecSchema, {
      task: "[scenario: small-edit]",
      repository: create(RepositorySpecSchema, { uri }),
    }),
    container: create(ContainerSpecSchema),
  });
  for await (const event of link.sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(120_000) })) {
    if (event.event.case === "sessionFinished") break;
  }
  const { state, result } = await link.sessions.get(id);
  if (state !== Session_State.SUCCEEDED) throw new Error(`${id} failed: ${JSON.stringify(result?.outcome)}`);
}

const rows: { after: number; seconds: number; facts: Record<string, number> }[] = [];
const startMs = Date.now();
for (let done = 0; done <= count; done++) {
  if (done === 0 || done === 10 || done % 25 === 0) {
    rows.push({ after: done, seconds: Math.round((Date.now() - startMs) / 1000), facts: measure() });
    process.stderr.write(`${done} of ${count} sessions: ${JSON.stringify(rows.at(-1)!.facts)}\n`);
  }
  if (done < count) await runOne();
}
const names = Object.keys(rows[0]!.facts);
printTable(
  ["sessions", "seconds", ...names],
  rows.map(({ after, seconds, facts }) => [
    String(after),
    String(seconds),
    ...names.map((name) => String(facts[name])),
  ]),
);
// The first sessions load what the later ones use, connections to the engine included: those are kept.
const warm = (rows.find(({ after }) => after >= 25) ?? rows[0]!).facts;
const last = rows.at(-1)!.facts;
const grown = ["descriptors", "threads", "containers", "volumes"].filter((name) => last[name]! > warm[name]!);
process.stdout.write(grown.length === 0 ? "1 passed, 0 failed\n" : `grown: ${grown.join(", ")}\n0 passed, 1 failed\n`);
if (grown.length > 0) process.exitCode = 1;
