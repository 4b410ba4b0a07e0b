// Many sessions one after the other on Docker: whether anything grows that should not. Started by `npm run soak:many`.
// Option: --sessions N.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { create } from "@bufbuild/protobuf";
import { ContainerSpecSchema, RepositorySpecSchema, Session_State, SessionSpecSchema } from "../../proto/index.ts";
import { printTable } from "../bench/statistics.ts";
import { hostLogPath } from "../../host/daemon/start-host.ts";
import { readHostId } from "../../host/host-id.ts";
import { startHostRig } from "../support/rig.ts";
import { growsLinearly, growthPerSession } from "./growth.ts";
import { HostMemory, INSPECTED } from "./host-memory.ts";
import { eachEvent } from "../support/each-event.ts";

const { values } = parseArgs({ options: { sessions: { type: "string", default: "200" } } });
const count = Number(values.sessions);

await using rig = await startHostRig({ nodeOptions: [INSPECTED] });
const { place, link, repository: uri } = rig;
const { processId } = await link.connect();
using memory = await HostMemory.open(hostLogPath(place.directories.stateDirectory));
const hostId = readHostId(place.directories.stateDirectory);
/** What a session may leave behind in memory (bytes). A connection that is kept alone takes 400 KiB. */
const MAX_GROWTH = 32 * 1024;

/** What is to be as it was. */
async function measure(): Promise<Record<string, number>> {
  const status = readFileSync(`/proc/${processId}/status`, "utf8");
  const files = readdirSync(place.directories.stateDirectory);
  const lines = (...args: string[]) => execFileSync("docker", args, { encoding: "utf8" }).split("\n").length - 1;
  const bytes = files.reduce((sum, name) => sum + statSync(join(place.directories.stateDirectory, name)).size, 0);
  return {
    descriptors: readdirSync(`/proc/${processId}/fd`).length,
    usedKb: Math.round((await memory.usedBytes()) / 1024),
    residentMb: Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024),
    threads: Number(/Threads:\s+(\d+)/.exec(status)![1]),
    storeKb: Math.round(bytes / 1024),
    containers: lines("ps", "--all", "--quiet", "--filter", `label=dev.claudecluster.host=${hostId}`),
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
  for await (const event of eachEvent(
    link.sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(120_000) }),
  )) {
    if (event.event.case === "sessionFinished") break;
  }
  const { state, result } = await link.sessions.get(id);
  if (state !== Session_State.SUCCEEDED) throw new Error(`${id} failed: ${JSON.stringify(result?.outcome)}`);
}

const rows: { after: number; seconds: number; facts: Record<string, number> }[] = [];
const startMs = Date.now();
for (let done = 0; done <= count; done++) {
  if (done === 0 || done === 10 || done % 25 === 0) {
    rows.push({ after: done, seconds: Math.round((Date.now() - startMs) / 1000), facts: await measure() });
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
const used = rows
  .filter(({ after }) => after >= 25)
  .map(({ after, facts }) => ({ after, value: facts["usedKb"]! * 1024 }));
process.stdout.write(`memory: ${(growthPerSession(used) / 1024).toFixed(1)} KiB more with each session\n`);
if (growsLinearly(used, MAX_GROWTH)) grown.push("memory");
process.stdout.write(grown.length === 0 ? "1 passed, 0 failed\n" : `grown: ${grown.join(", ")}\n0 passed, 1 failed\n`);
if (grown.length > 0) process.exitCode = 1;
