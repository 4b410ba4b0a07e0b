import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { SessionSummary } from "../../host/present/session-summary.ts";
import { runGit } from "../git/work-area.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { containersOf, docker } from "../support/docker.ts";
import { type Rig, startRig } from "../support/rig.ts";

let rig: Rig;
let project: string;
beforeAll(async () => {
  rig = await startRig();
  project = mkdtempSync(join(tmpdir(), "claudecluster-killed-"));
  runGit(project, "init", "-q", "-b", "main");
  for (let n = 1; n <= FILES; n++) writeFileSync(join(project, `old-${n}`), `${n}\n`);
  runGit(project, "add", "-A");
  runGit(project, "commit", "-qm", "start");
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  rmSync(project, { recursive: true });
});

const FILES = 1000;
/** Something of every kind, ten times a second: each bears the time, in milliseconds, at which it was there. */
const WORK = `n=0
while :; do
  n=$((n + 1)); now=$(date +%s%3N)
  echo "$now" >> log.txt
  mkdir -p new; echo "$now" > "new/$n"
  printf 'a\\0%s' "$now" > data.bin
  ln -sfn "$now" link
  echo "$now" > made; chmod +x made; mv made renamed
  rm "old-$n"; echo "$now" > gone-until
  sleep 0.1
done`;

test("loses nothing older than a second when the container is killed while Claude works", async () => {
  const task = `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command: WORK } }])}]`;
  const cli = (...args: string[]) => claudecluster(rig.mcp.place, args, { cwd: project });
  const started = await cli("run", "-d", task);
  expect(started.code, started.stderr).toBe(0);
  const id = started.stdout.trim();
  const seen = async (): Promise<number> => (await cli("diff", id)).stdout.split("new file").length;
  await vi.waitFor(async () => expect(await seen()).toBeGreaterThan(20), { timeout: 60_000, interval: 100 });
  const [container = ""] = await containersOf(rig.mcp.place);
  const killedMs = Date.now();
  await docker("kill", container);

  await cli("watch", id);
  const { stdout } = await cli("show", id, "--json");
  const session = JSON.parse(stdout) as SessionSummary;
  expect(session).toMatchObject({ state: "failed" });
  const patch = await cli("diff", id);
  writeFileSync(join(project, ".git/patch"), patch.stdout);
  runGit(project, "apply", ".git/patch");
  const read = (name: string): string => readFileSync(join(project, name), "utf8");
  const newest = Math.max(...readdirSync(join(project, "new")).map(Number));
  const times = {
    text: read("log.txt").trim().split("\n").at(-1),
    new: read(`new/${newest}`),
    binary: read("data.bin").slice(2),
    link: readlinkSync(join(project, "link")),
    renamed: read("renamed"),
    removed: read("gone-until"),
  };
  const ages = Object.fromEntries(Object.entries(times).map(([kind, time]) => [kind, killedMs - Number(time)]));
  for (const age of Object.values(ages)) expect(age, JSON.stringify(ages)).toBeLessThan(1000);
  // And nothing that was there before any of them is missing.
  const count = read("log.txt").trim().split("\n").length;
  const old = new Set(readdirSync(project));
  for (let n = 1; n < Math.min(count, newest) - 10; n++) {
    expect(old.has(`old-${n}`), `old-${n}`).toBe(false);
    expect(read(`new/${n}`)).toMatch(/^\d+\n$/);
  }
});
