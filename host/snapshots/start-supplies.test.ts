import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AppError, type RepositorySnapshot } from "../../proto/index.ts";
import { FakeSupplies } from "../runtime/fake/fake-supplies.ts";
import { LocalSource } from "../source/local-source.ts";
import { SnapshotStores, storesDirectory } from "./snapshot-stores.ts";
import { StartSupplies } from "./start-supplies.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;
const DAY_MS = 24 * 60 * 60_000;
let area: string;
let user: string;
let runtime: FakeSupplies;
let stores: SnapshotStores;
let supplies: StartSupplies;
const told: string[] = [];

beforeEach(async () => {
  area = mkdtempSync(join(tmpdir(), "cc-supplies-"));
  user = join(area, "user");
  vi.stubEnv("GIT_CONFIG_GLOBAL", "/dev/null");
  vi.stubEnv("GIT_CONFIG_NOSYSTEM", "1");
  runtime = new FakeSupplies();
  openStores();
  await run("git", ["init", "-q", "-b", "main", user]);
  writeFileSync(join(user, "large"), randomBytes(200_000));
  await commit("one");
  await commit("two");
  // As a clone has it.
  await git("repack", "-qad");
  told.length = 0;
});
afterEach(() => {
  rmSync(area, { recursive: true, force: true });
  vi.unstubAllEnvs();
});

function openStores(): void {
  const directory = storesDirectory(join(area, "state"));
  const logger = pino({ level: "silent" });
  supplies = new StartSupplies({ storesDirectory: directory, supplies: runtime, logger, minBytes: 100_000 });
  stores = new SnapshotStores(directory, { supplies });
}

async function git(...args: string[]): Promise<string> {
  const identity = ["-c", "user.name=Dev", "-c", "user.email=dev@example.org"];
  return (await run("git", [...identity, ...args], { cwd: user })).stdout.trim();
}

async function commit(content: string): Promise<void> {
  writeFileSync(join(user, "file"), `${content}\n`);
  await git("add", "-A");
  await git("commit", "-qm", content);
}

async function snapshot(): Promise<RepositorySnapshot> {
  const source = new LocalSource({ stateDirectory: join(area, "state"), home: join(area, "home") });
  return (await source.find({ repository: user, continues: false }, { directory: async () => area, signal })).spec!
    .snapshot!;
}

let count = 0;
async function find(
  options: { taken?: RepositorySnapshot; depth?: number; signal?: AbortSignal } = {},
): Promise<string | undefined> {
  const taken = options.taken ?? (await snapshot());
  const id = `ses_${++count}`;
  await stores.open(id, taken, { depth: options.depth ?? 1, signal });
  const onProgress = ({ message }: { message: string }) => told.push(message);
  return await stores.supply(id, taken, { image: "agent", signal: options.signal ?? signal, onProgress });
}

/** Lists the ids of a supply's objects. */
async function objectsOf(name: string): Promise<string[]> {
  const directory = join(area, "unpacked", name);
  for (const [file, content] of runtime.kept.get(name)!.files) {
    mkdirSync(join(directory, dirname(file)), { recursive: true });
    writeFileSync(join(directory, file), content);
  }
  const packs = readdirSync(join(directory, "objects/pack")).filter((each) => each.endsWith(".idx"));
  const listed = packs.map(async (pack) => {
    const { stdout } = await run("git", ["verify-pack", "-v", join(directory, "objects/pack", pack)]);
    return [...stdout.matchAll(/^[0-9a-f]{40}(?= )/gm)].map(([id]) => id);
  });
  return [...new Set((await Promise.all(listed)).flat())].sort();
}

async function reachable(...args: string[]): Promise<string[]> {
  return (await git("rev-list", "--objects", "--no-object-names", ...args)).split("\n").sort();
}

test("what is committed is put there once, for all sessions of that commit, and nothing else", async () => {
  writeFileSync(join(user, "untracked"), "secret\n");
  const taken = await snapshot();
  const [one, other] = await Promise.all([find({ taken }), find({ taken })]);
  expect(one).toBeTypeOf("string");
  expect(other).toBe(one);
  writeFileSync(join(user, "file"), "changed\n");
  writeFileSync(join(user, "untracked"), "another\n");
  told.length = 0;
  expect(await find()).toBe(one);
  expect(told).toEqual([]);
  expect(runtime.kept.size).toBe(1);
  expect(await objectsOf(one!)).toEqual([await git("rev-parse", "HEAD"), ...(await reachable("HEAD^{tree}"))].sort());
  openStores();
  expect(await find()).toBe(one);
});

test.each([
  [2, ["HEAD"]],
  [-1, ["HEAD"]],
])("has as much history as a session has: %i", async (depth, reached) => {
  const supply = await find({ depth });
  expect(await objectsOf(supply!)).toEqual(await reachable(...reached));
});

test("another commit is another supply, and of those of one repository two are kept", async () => {
  const names = [await find()];
  for (const content of ["three", "four"]) {
    await commit(content);
    names.push(await find());
  }
  expect(new Set(names).size).toBe(3);
  await expect.poll(() => [...runtime.kept.keys()], { timeout: 20_000 }).toEqual(names.slice(1));
});

test("a small repository has none, and git is not asked", async () => {
  await git("rm", "-q", "large");
  await git("commit", "-q", "--amend", "-m", "small");
  await git("reflog", "expire", "--expire=now", "--all");
  await git("update-ref", "-d", "ORIG_HEAD").catch(() => "");
  await git("checkout", "-q", "--orphan", "alone");
  await git("commit", "-qm", "alone");
  await git("branch", "-D", "main");
  await git("reflog", "expire", "--expire=now", "--all");
  await git("gc", "-q", "--prune=now");
  expect(await find()).toBeUndefined();
  expect(told).toEqual([]);
});

test("what is small in a large repository has none, which is found out once", async () => {
  await git("rm", "-q", "large");
  await git("commit", "-qm", "small");
  expect(await find()).toBeUndefined();
  expect(told).toHaveLength(1);
  expect(await find()).toBeUndefined();
  expect(told).toHaveLength(1);
  expect(runtime.kept.size).toBe(0);
});

test("one that is gone is made anew; where it cannot be, everything is fetched, until it is swept", async () => {
  const first = (await find())!;
  runtime.kept.clear();
  runtime.failure = new AppError("SUPPLY_FAILED", "No room.");
  expect(await find()).toBeUndefined();
  await stores.sweep({ isKnown: () => true, nowMs: Date.now() });
  expect(await find()).toBeUndefined();
  runtime.failure = undefined;
  expect(await find()).toBeUndefined();
  await stores.sweep({ isKnown: () => true, nowMs: Date.now() });
  const again = await find();
  expect(again).toBeTypeOf("string");
  expect(again).not.toBe(first);
  const [store] = readdirSync(storesDirectory(join(area, "state")));
  expect(readdirSync(join(storesDirectory(join(area, "state")), store!, "claudecluster")).join(" ")).not.toContain(
    "work-",
  );
});

test("a session that is stopped meanwhile does not wait, and the next one has it", async () => {
  const { promise: passing, resolve: release } = Promise.withResolvers<undefined>();
  const stopping = new AbortController();
  runtime.onPut = async () => {
    stopping.abort(new Error("stopped"));
    await passing;
  };
  await expect(find({ signal: stopping.signal })).rejects.toThrow("stopped");
  const next = find();
  release(undefined);
  expect(await next).toBeTypeOf("string");
  expect(runtime.kept.size).toBe(1);
});

test("a host that ends leaves nothing half made", async () => {
  const { promise: passing, resolve: release } = Promise.withResolvers<undefined>();
  const { promise: putting, resolve: onPut } = Promise.withResolvers<undefined>();
  runtime.onPut = async () => {
    onPut(undefined);
    await passing;
  };
  const found = find();
  await putting;
  const ended = supplies[Symbol.asyncDispose]();
  release(undefined);
  await ended;
  expect(await found).toBeUndefined();
  expect(runtime.kept.size).toBe(0);
  const [store] = readdirSync(storesDirectory(join(area, "state")));
  const cache = join(storesDirectory(join(area, "state")), store!, "claudecluster");
  expect(readdirSync(cache).filter((name) => name.startsWith("work-"))).toEqual([]);
});

test("sweeps what nobody has used for a week, what a killed host has left, and of other hosts what is old", async () => {
  const used = (await find())!;
  const add = (name: string, own: boolean, ageMs: number) =>
    runtime.kept.set(name, { name, own, createTimeMs: Date.now() - ageMs, files: new Map() });
  add("left", true, 0);
  add("others", false, DAY_MS);
  add("abandoned", false, 8 * DAY_MS);
  add("in use", true, 0);
  runtime.used.add("in use");
  const sweep = () => stores.sweep({ isKnown: () => true, nowMs: Date.now() });
  await sweep();
  expect([...runtime.kept.keys()].sort()).toEqual(["in use", "others", used].sort());
  const directory = storesDirectory(join(area, "state"));
  const [store] = readdirSync(directory);
  const [record] = readdirSync(join(directory, store!, "supplies"));
  const old = new Date(Date.now() - 8 * DAY_MS);
  utimesSync(join(directory, store!, "supplies", record!), old, old);
  await sweep();
  expect([...runtime.kept.keys()].sort()).toEqual(["in use", "others"]);
});
