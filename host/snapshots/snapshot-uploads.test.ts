import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { managerOptions, startContainers } from "../../test/support/manager-options.ts";
import { QUIET_HOST } from "../../test/support/quiet-host.ts";
import {
  type AppError,
  ContainerSpecSchema,
  type RepositorySnapshot,
  RepositorySpecSchema,
  SessionSpecSchema,
} from "../../proto/index.ts";
import { callersWith } from "../callers/callers.ts";
import { ControlClient } from "../control/control-client.ts";
import { ControlServer } from "../control/control-server.ts";
import { RemoteSessions } from "../control/remote-sessions.ts";
import type { Upload } from "../control/upload-snapshot.ts";
import { FakeMachine } from "../runtime/fake/fake-machine.ts";
import { FakeRuntime } from "../runtime/fake/fake-runtime.ts";
import { requireDirectory } from "../results/session-directories.ts";
import { SessionManager } from "../session/session-manager.ts";
import { LocalSource } from "../source/local-source.ts";
import { projectOf } from "../source/project.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { SnapshotStores, storesDirectory } from "./snapshot-stores.ts";
import type { PackLimits } from "./take-pack.ts";

const TOKEN = "a-token-of-the-tests";
const { signal } = new AbortController();
let area: string;
let user: string;
let hostStores: string;

beforeEach(() => {
  area = mkdtempSync(join(tmpdir(), "cc-uploads-"));
  hostStores = storesDirectory(join(area, "host"));
  vi.stubEnv("GIT_CONFIG_GLOBAL", "/dev/null");
  vi.stubEnv("GIT_CONFIG_NOSYSTEM", "1");
  user = join(area, "user");
  execFileSync("git", ["init", "-q", "-b", "main", user]);
  for (const name of ["one", "two", "three", "four"]) {
    write("file", `${name}\n`);
    write(`only-in-${name}`, randomBytes(2000));
    commit(name);
  }
  write("file", "changed\n");
  write("untracked", "untracked\n");
});
afterEach(() => {
  rmSync(area, { recursive: true, force: true });
  vi.unstubAllEnvs();
});

function write(path: string, content: string | Buffer): void {
  mkdirSync(join(user, path, ".."), { recursive: true });
  writeFileSync(join(user, path), content);
}

function git(...args: string[]): string {
  const identity = ["-c", "user.name=Dev", "-c", "user.email=dev@example.org"];
  return execFileSync("git", [...identity, ...args], { cwd: user, stdio: ["ignore", "pipe", "pipe"] })
    .toString()
    .trim();
}

function commit(message: string): void {
  git("add", "-A");
  git("commit", "-qm", message);
}

/** A host that is reached over TCP, whose sessions end at once for want of an engine. */
async function startHost(limits: Partial<PackLimits> = {}) {
  const stack = new AsyncDisposableStack();
  onTestFinished(() => stack.disposeAsync());
  const logger = pino({ level: "silent" });
  const store = stack.use(SqliteStore.open(":memory:"));
  const machine = new FakeMachine({
    createAgent: () => {
      throw new Error("no container is created here");
    },
  });
  const runtime = stack.use(new FakeRuntime({ machine }));
  runtime.health = { healthy: false, reason: "RUNTIME_UNAVAILABLE", message: "No engine.", help: "" };
  const containers = stack.use(startContainers(runtime, store, {}));
  const snapshots = new SnapshotStores(hostStores, limits);
  const manager = stack.use(SessionManager.open({ containers, store, ...managerOptions(), snapshots }));
  const options = { sessions: manager, uploads: snapshots.uploads, host: QUIET_HOST, logger };
  const server = stack.use(new ControlServer(options));
  const port = await server.listenTcp({ host: "127.0.0.1", port: 0, callers: callersWith(TOKEN) });
  const url = `http://127.0.0.1:${port}`;
  const client = stack.use(new ControlClient({ url, token: () => Promise.resolve(TOKEN) }));
  const sessions = new RemoteSessions({ client });
  return { snapshots, sessions, url, client };
}

type Host = Awaited<ReturnType<typeof startHost>>;

/** Finds the user's repository as a front does that has a state directory of its own, and counts the bytes that it sends. */
async function find(
  host: Host,
  { front = "front", history = 1, claims }: { front?: string; history?: number | "all"; claims?: object } = {},
) {
  let sentBytes = 0;
  const upload = async (given: Upload) => {
    const pack = async function* (haves: Parameters<Upload["pack"]>[0]) {
      for await (const data of given.pack(haves)) {
        sentBytes += data.length;
        yield data;
      }
    };
    Object.assign(given.start.snapshot!, claims);
    return await host.sessions.upload({ ...given, pack });
  };
  const stateDirectory = join(area, front);
  const source = new LocalSource({ stateDirectory, home: join(area, "home"), receiver: { url: host.url, upload } });
  const { spec } = await source.find(
    { repository: user, history, continues: false },
    { directory: () => Promise.resolve(area), signal },
  );
  return { spec: spec!, snapshot: spec!.snapshot!, sentBytes };
}

async function createSession({ sessions }: Host, snapshot: RepositorySnapshot, depth = 1) {
  const repository = create(RepositorySpecSchema, { snapshot, depth });
  const spec = create(SessionSpecSchema, { task: "x", repository });
  return await sessions.create({ spec, container: create(ContainerSpecSchema) });
}

/** Fetches what a session is served, as far as a session gets it. */
function fetchServed({ spec, id }: Awaited<ReturnType<typeof createSession>>): (...args: string[]) => string {
  const served = join(hostStores, spec!.repository!.snapshot!.store, "sessions", id);
  const clone = join(area, `clone-${id}`);
  const start = spec!.repository!.snapshot!.untrackedCommitId;
  execFileSync("git", ["init", "-q", `--object-format=${start.length === 64 ? "sha256" : "sha1"}`, clone]);
  const inClone = (...args: string[]) => execFileSync("git", args, { cwd: clone, stdio: "pipe" }).toString().trim();
  inClone("fetch", "-q", "--update-shallow", served, "refs/claudecluster/start:refs/start");
  expect(inClone("fsck", "--full")).toBe("");
  return inClone;
}

const refusal = async (call: Promise<unknown>): Promise<AppError> =>
  (await call.then(
    () => expect.unreachable("it was taken"),
    (error: unknown) => error,
  )) as AppError;

/** All files below the host's stores, but those of git's own that every store has. */
const filesOfHost = (): string[] =>
  existsSync(hostStores)
    ? readdirSync(hostStores, { recursive: true })
        .map(String)
        .filter((path) => statSync(join(hostStores, path), { throwIfNoEntry: false })?.isFile() === true)
        .toSorted()
    : [];

test.each([
  [1, ["four"]],
  [3, ["four", "three", "two"]],
  ["all", ["four", "three", "two", "one"]],
] as const)("a session gets what a front elsewhere has sent, with history of %s", async (history, subjects) => {
  const host = await startHost();
  const { snapshot, spec, sentBytes } = await find(host, { history });
  expect(sentBytes).toBeGreaterThan(0);
  const session = await createSession(host, snapshot, spec.depth);
  const inClone = fetchServed(session);
  expect(inClone("log", "--format=%s", snapshot.headCommitId).split("\n")).toEqual(subjects);
  expect(inClone("show", "refs/start:file")).toBe("changed");
  expect(inClone("show", "refs/start:untracked")).toBe("untracked");
  expect(session.spec?.repository?.snapshot).toMatchObject({
    uploadId: "",
    untrackedCommitId: snapshot.untrackedCommitId,
  });
});

test("a plain directory, a repository with SHA-256 and one that is shallow itself are sent", async () => {
  const host = await startHost();
  const origin = user;
  user = join(area, "plain");
  write("a/b", "b\n");
  expect(fetchServed(await createSession(host, (await find(host)).snapshot))("show", "refs/start:a/b")).toBe("b");
  user = join(area, "sha256");
  execFileSync("git", ["init", "-q", "-b", "main", "--object-format=sha256", user]);
  write("a", "a\n");
  commit("first");
  expect(fetchServed(await createSession(host, (await find(host)).snapshot))("show", "refs/start:a")).toBe("a");
  user = join(area, "shallow");
  execFileSync("git", ["clone", "-q", "--depth=2", `file://${origin}`, user]);
  const { snapshot } = await find(host, { history: "all" });
  const inClone = fetchServed(await createSession(host, snapshot, -1));
  expect(inClone("log", "--format=%s", snapshot.headCommitId).split("\n")).toEqual(["four", "three"]);
});

test("submodules are sent with their files and what is checked out in them", async () => {
  const host = await startHost();
  const library = join(area, "library");
  execFileSync("git", ["init", "-q", "-b", "main", library]);
  const top = user;
  user = library;
  write("inside", "inside\n");
  commit("library");
  user = top;
  git("-c", "protocol.file.allow=always", "submodule", "add", "-q", library, "lib");
  commit("with a submodule");
  write("lib/inside", "changed inside\n");
  const { snapshot } = await find(host);
  const inClone = fetchServed(await createSession(host, snapshot));
  expect(inClone("show", "refs/start:lib/inside")).toBe("changed inside");
  expect(snapshot.submodules).toHaveLength(1);
  expect(inClone("show", `${snapshot.submodules[0]!.headCommitId}:inside`)).toBe("inside");
});

test("the second upload moves only what is new, and the same again moves nothing", async () => {
  const host = await startHost();
  write("large", randomBytes(500_000));
  commit("large");
  const first = await find(host);
  expect(first.sentBytes).toBeGreaterThan(500_000);
  expect((await find(host)).sentBytes).toBe(0);
  write("another", "another\n");
  commit("next");
  write("file", "and changed\n");
  const second = await find(host);
  expect(second.sentBytes).toBeLessThan(3000);
  const inClone = fetchServed(await createSession(host, second.snapshot));
  expect(inClone("show", "refs/start:another")).toBe("another");
  expect(inClone("cat-file", "-s", "refs/start:large")).toBe("500000");
});

test("what is behind the history that was sent before is sent where it is asked for later", async () => {
  const host = await startHost();
  const history = async (depth: number) => {
    const { snapshot, spec } = await find(host, { history: depth });
    const inClone = fetchServed(await createSession(host, snapshot, spec.depth));
    return inClone("log", "--format=%s", snapshot.headCommitId).split("\n");
  };
  git("stash", "-q", "-u");
  expect(await history(2)).toEqual(["four", "three"]);
  git("checkout", "-q", "HEAD~1");
  expect(await history(2)).toEqual(["three", "two"]);
  git("checkout", "-q", "HEAD~1");
  expect(await history(1)).toEqual(["two"]);
  git("checkout", "-q", "-b", "side", "HEAD~1");
  write("side", "side\n");
  commit("side");
  expect(await history(2)).toEqual(["side", "one"]);
  git("checkout", "-q", "main");
  git("merge", "-q", "-m", "merge", "side");
  expect((await history(3)).toSorted()).toEqual(["four", "merge", "one", "side", "three"]);
});

test("a caller elsewhere can name no store and no ids that it has not uploaded", async () => {
  const host = await startHost();
  const { snapshot } = await find(host);
  const session = await createSession(host, snapshot);
  const known = session.spec!.repository!.snapshot!;
  expect(known.store).not.toBe("");
  // All that the session's spec tells to whoever may read it.
  expect(await refusal(createSession(host, known))).toMatchObject({ reason: "CALLER_REMOTE" });
  for (const uploadId of [known.store, "00000000-0000-4000-8000-000000000000", "../x"]) {
    expect(await refusal(createSession(host, { ...known, uploadId }))).toMatchObject({ reason: "UPLOAD_UNKNOWN" });
  }
  // What is said beside the id of an upload does not count.
  const other = {
    headCommitId: git("rev-parse", "HEAD~1"),
    store: "else",
    subdirectory: "../..",
    branch: "refs/heads/evil",
  };
  const again = await createSession(host, { ...snapshot, ...other });
  expect(again.spec?.repository?.snapshot).toEqual(known);
  // Commits that are in the store of another upload are not in one's own.
  const announced = { ...snapshot, uploadId: "" };
  const start = { key: "ab".repeat(32), snapshot: announced, boundaryCommitIds: [known.headCommitId] };
  const told: unknown[] = [];
  const pack = async function* (haves: readonly unknown[]): AsyncGenerator<Uint8Array> {
    told.push(...haves);
  };
  expect(await refusal(host.sessions.upload({ start, pack, signal }))).toMatchObject({ reason: "SNAPSHOT_INVALID" });
  expect(told).toEqual([]);
});

test("what a caller elsewhere has uploaded is of no directory of this machine, whatever it says", async () => {
  const host = await startHost();
  const claims = { senderStore: "" };
  const { snapshot } = await find(host, { claims });
  const session = await createSession(host, snapshot);
  expect(session.spec!.repository!.snapshot!.receipt!.directory).toBe(user);
  expect(() => requireDirectory(session)).toThrow("did not work on a directory of this machine");
  expect(projectOf(session)).toMatch(/^[0-9a-f]{64}$/);
});

test("two callers with a repository at the same path have stores of their own", async () => {
  const host = await startHost();
  const first = await find(host, { front: "one" });
  const second = await find(host, { front: "two" });
  expect(second.sentBytes).toBe(first.sentBytes);
  const stores = await Promise.all([first, second].map(({ snapshot }) => createSession(host, snapshot)));
  expect(new Set(stores.map(({ spec }) => spec!.repository!.snapshot!.store)).size).toBe(2);
});

test("an upload that is cut leaves nothing behind, and the next one works", async () => {
  const host = await startHost();
  const cut = new AbortController();
  const { snapshot } = await find(await startHost());
  rmSync(hostStores, { recursive: true });
  const whole = packOf([object("blob", randomBytes(300_000))]);
  const pack = async function* (): AsyncGenerator<Uint8Array> {
    yield whole.subarray(0, 100_000);
    await vi.waitUntil(() => filesOfHost().some((path) => path.includes("incoming-")), { timeout: 20_000 });
    cut.abort(new Error("the front was killed"));
    await new Promise(() => {});
  };
  const announced = { ...snapshot, uploadId: "" };
  const start = { key: "ab".repeat(32), snapshot: announced, boundaryCommitIds: [] };
  await expect(host.sessions.upload({ start, pack, signal: cut.signal })).rejects.toThrow("the front was killed");
  await vi.waitUntil(() => readdirSync(hostStores).length === 0, { timeout: 20_000 });
  fetchServed(await createSession(host, (await find(host)).snapshot));
});

test("what a killed host has left is removed before the next upload, and what is whole stays", async () => {
  const host = await startHost();
  const { snapshot } = await find(host);
  const { store } = (await createSession(host, snapshot)).spec!.repository!.snapshot!;
  const whole = filesOfHost();
  const half = join(hostStores, store, "claudecluster/incoming-x/objects/pack");
  mkdirSync(half, { recursive: true });
  writeFileSync(join(half, "tmp_pack_x"), "half");
  mkdirSync(join(hostStores, "uffff/claudecluster/incoming-y"), { recursive: true });
  const next = await startHost();
  await next.snapshots.uploads.removeLeftovers();
  expect(filesOfHost()).toEqual(whole);
  expect(readdirSync(hostStores)).toEqual([store]);
  expect(await refusal(createSession(next, snapshot))).toMatchObject({ reason: "UPLOAD_UNKNOWN" });
});

test("what is served to a session goes with it", async () => {
  const host = await startHost();
  const { snapshot } = await find(host);
  const session = await createSession(host, snapshot);
  const served = join(hostStores, session.spec!.repository!.snapshot!.store, "sessions");
  expect(readdirSync(served)).toEqual([session.id]);
  const end = AbortSignal.timeout(20_000);
  for await (const _ of host.sessions.watch(session.id, { afterSequence: 0, signal: end }));
  await host.sessions.delete(session.id);
  expect(readdirSync(served)).toEqual([]);
});

test("an upload that no session uses is swept", async () => {
  const host = await startHost();
  await find(host);
  const day = 24 * 60 * 60_000;
  const sweep = (days: number) => host.snapshots.sweep({ isKnown: () => false, nowMs: Date.now() + days * day });
  await sweep(6);
  expect(readdirSync(hostStores)).toHaveLength(1);
  await sweep(8);
  expect(readdirSync(hostStores)).toEqual([]);
});

/** An object of git's, with its id. */
function object(type: string, content: Buffer | string): { id: string; type: string; content: Buffer } {
  const bytes = Buffer.from(content);
  const id = createHash("sha1").update(`${type} ${bytes.length}\0`).update(bytes).digest("hex");
  return { id, type, content: bytes };
}

const entry = (mode: string, name: string, id: string) =>
  Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(id, "hex")]);
const TYPES: Record<string, number> = { commit: 1, tree: 2, blob: 3 };

function header(type: number, size: number): Buffer {
  const bytes = [(type << 4) | (size & 15)];
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1]! |= 0x80;
    bytes.push(rest % 128);
  }
  return Buffer.from(bytes);
}

/** A pack of objects, and of more entries as they are. */
function packOf(objects: ReturnType<typeof object>[], raw: Buffer[] = []): Buffer {
  const head = Buffer.alloc(12);
  head.write("PACK");
  head.writeUInt32BE(2, 4);
  head.writeUInt32BE(objects.length + raw.length, 8);
  const entries = objects.flatMap(({ type, content }) => [header(TYPES[type]!, content.length), deflateSync(content)]);
  const body = Buffer.concat([head, ...entries, ...raw]);
  return Buffer.concat([body, createHash("sha1").update(body).digest()]);
}

/** A start whose tree is this one, with all that an upload of it needs. */
function startOf(tree: ReturnType<typeof object>, ...others: ReturnType<typeof object>[]) {
  const who = "x <x@example.org> 1700000000 +0000";
  const made = object("commit", `tree ${tree.id}\nauthor ${who}\ncommitter ${who}\n\nx\n`);
  const ids = { indexCommitId: made.id, trackedCommitId: made.id, untrackedCommitId: made.id };
  const start = { key: "cd".repeat(32), snapshot: { branch: "refs/heads/main", ...ids }, boundaryCommitIds: [] };
  return { start, objects: [made, tree, ...others] };
}

const blob = object("blob", "x\n");
const delta = (baseId: string, content: Buffer) =>
  Buffer.concat([header(7, content.length), Buffer.from(baseId, "hex"), deflateSync(content)]);
/** A delta that says it makes 64 GiB of two bytes. */
const BOMB = delta(blob.id, Buffer.from([2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02, 0x90, 2]));

test.each([
  ["a file in .git", [entry("100644", ".git", blob.id)], [blob], [], "SNAPSHOT_INVALID", /hasDotgit/],
  [
    "the same as other file systems spell it",
    [entry("40000", "GIT~1", object("tree", "").id)],
    [object("tree", "")],
    [],
    "SNAPSHOT_INVALID",
    /hasDotgit/,
  ],
  ["a way out", [entry("100644", "..", blob.id)], [blob], [], "SNAPSHOT_INVALID", /hasDotdot/],
  ["a path for a name", [entry("100644", "a/b", blob.id)], [blob], [], "SNAPSHOT_INVALID", /fullPathname/],
  [
    "a link for .gitmodules",
    [entry("120000", ".gitmodules", blob.id)],
    [blob],
    [],
    "SNAPSHOT_INVALID",
    /gitmodulesSymlink/,
  ],
  ["a file that is not there", [entry("100644", "a", blob.id)], [], [], "SNAPSHOT_INVALID", /expected object/],
  ["a delta that makes 64 GiB", [entry("100644", "a", blob.id)], [blob], [BOMB], "UPLOAD_TOO_LARGE", /largest|at most/],
  [
    "deltas in a circle",
    [entry("100644", "a", blob.id)],
    [blob],
    [delta("11".repeat(20), Buffer.from([2, 2, 0x90, 2])), delta("22".repeat(20), Buffer.from([2, 2, 0x90, 2]))],
    "SNAPSHOT_INVALID",
    /unresolved delta/,
  ],
])("refuses a pack with %s, and keeps nothing of it", async (_name, entries, others, raw, reason, message) => {
  const host = await startHost();
  const { start, objects } = startOf(object("tree", Buffer.concat(entries)), ...others);
  const pack = async function* (): AsyncGenerator<Uint8Array> {
    yield packOf(objects, raw);
  };
  const error = await refusal(host.sessions.upload({ start, pack, signal }));
  expect(error).toMatchObject({ reason, message: expect.stringMatching(message) as string });
  expect(readdirSync(hostStores)).toEqual([]);
});

test("takes in files whose form git does not take, as an agent does that fetches them", async () => {
  const host = await startHost();
  const inside = object("tree", entry("100644", "x", blob.id));
  const long = object("blob", `${"a".repeat(3000)} text\n`);
  const below = object("tree", entry("100644", ".gitattributes", long.id));
  const names = [".gitattributes", ".gitmodules"].map((name) => entry("40000", name, inside.id));
  const { start, objects } = startOf(object("tree", Buffer.concat([...names, entry("40000", "a", below.id)])), inside);
  const pack = async function* (): AsyncGenerator<Uint8Array> {
    yield packOf([...objects, below, long, blob]);
  };
  expect(await host.sessions.upload({ start, pack, signal })).toMatch(/^[0-9a-f-]{36}$/);
});

test("links that lead anywhere are only links, and a tree that unfolds without end costs the host nothing", async () => {
  const host = await startHost();
  const target = object("blob", "/etc/passwd");
  let tree = object("tree", entry("120000", "link", target.id));
  const trees = [];
  for (let level = 0; level < 30; level++) {
    trees.push(tree);
    tree = object("tree", Buffer.concat(["a", "b", "c", "d"].map((name) => entry("40000", name, tree.id))));
  }
  const { start, objects } = startOf(tree, ...trees, target);
  const pack = async function* (): AsyncGenerator<Uint8Array> {
    yield packOf(objects);
  };
  expect(await host.sessions.upload({ start, pack, signal })).toMatch(/^[0-9a-f-]{36}$/);
});

test("refuses a pack that is too large, does not come or finds no room, and says so", async () => {
  const tooLarge = await startHost({ maxBytes: 1000 });
  expect(await refusal(find(tooLarge))).toMatchObject({ reason: "UPLOAD_TOO_LARGE", kind: "RESOURCE_EXHAUSTED" });
  const full = await startHost({ minFreeBytes: 2 ** 60 });
  expect(await refusal(find(full))).toMatchObject({ reason: "NO_ROOM", retryable: true });
  const { start } = startOf(object("tree", ""));
  const patient = await startHost({ stallMs: 100 });
  const pack = async function* (): AsyncGenerator<Uint8Array> {
    yield packOf([]).subarray(0, 10);
    await new Promise(() => {});
  };
  expect(await refusal(patient.sessions.upload({ start, pack, signal }))).toMatchObject({ reason: "UPLOAD_STALLED" });
  expect(readdirSync(hostStores)).toEqual([]);
});
