import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { pino } from "pino";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { NO_GIT_CREDENTIALS } from "../../test/support/no-git-credentials.ts";
import { packet } from "../broker/git/pkt-line.ts";
import { createGitGateway } from "../broker/git/git-gateway.ts";
import { WayOut } from "../broker/way-out.ts";
import { type RepositorySnapshot, SNAPSHOT_REF, SNAPSHOT_URI } from "../../proto/index.ts";
import { LocalSource } from "../source/local-source.ts";
import { SnapshotStores, storesDirectory } from "./snapshot-stores.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;
const FLUSH = "0000";
const DELIMITER = "0001";
let area: string;
let user: string;
let stores: SnapshotStores;

beforeEach(async () => {
  area = mkdtempSync(join(tmpdir(), "cc-stores-"));
  user = join(area, "user");
  vi.stubEnv("GIT_CONFIG_GLOBAL", "/dev/null");
  vi.stubEnv("GIT_CONFIG_NOSYSTEM", "1");
  stores = new SnapshotStores(storesDirectory(join(area, "state")));
  await run("git", ["init", "-q", "-b", "main", user]);
  for (const name of ["one", "two", "three"]) {
    writeFileSync(join(user, "file"), `${name}\n`);
    await git("add", "-A");
    await git("commit", "-qm", name);
  }
  writeFileSync(join(user, "file"), "changed\n");
  writeFileSync(join(user, "new"), "untracked\n");
});
afterEach(() => {
  rmSync(area, { recursive: true, force: true });
  vi.unstubAllEnvs();
});

async function git(...args: string[]): Promise<string> {
  const identity = ["-c", "user.name=Dev", "-c", "user.email=dev@example.org"];
  return (await run("git", [...identity, ...args], { cwd: user })).stdout.trim();
}

/** Takes a snapshot of the user's repository as a front does. */
async function snapshot(repository = user): Promise<RepositorySnapshot> {
  const source = new LocalSource({ stateDirectory: join(area, "state"), home: join(area, "home") });
  const { spec } = await source.find({ repository, continues: false }, { directory: async () => area, signal });
  return spec!.snapshot!;
}

/** Opens a snapshot for a session and serves it; git in the container is this machine's. */
async function serve(taken: RepositorySnapshot, depth = 1) {
  await stores.open("ses_1", taken, { depth, signal });
  const gateway = createGitGateway({
    wayOut: new WayOut({}),
    agents: { http: new Agent(), https: new Agent() as never },
    egress: { allowed: new Set(), allowedPrivate: new Set() },
    ...NO_GIT_CREDENTIALS,
    snapshot: stores.serve("ses_1", taken),
    logger: pino({ level: "silent" }),
    onDecision: () => {},
  });
  await once(gateway.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    gateway.closeAllConnections();
    gateway.close();
  });
  const address = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;
  const path = SNAPSHOT_URI.replace("://", "/");
  const clone = join(area, "clone");
  await run("git", ["init", "-q", "-b", "main", clone]);
  const inClone = async (...args: string[]): Promise<string> =>
    (await run("git", args, { cwd: clone, env: { PATH: process.env["PATH"], HOME: area, LC_ALL: "C" } })).stdout.trim();
  const url = `${address}/${path}`;
  const fetch = (...args: string[]) => inClone("fetch", "-q", "--update-shallow", ...args);
  const ask = async (lines: readonly string[], headers: Record<string, string> = { "git-protocol": "version=2" }) => {
    const body = lines.map((line) => (/^000[01]$/.test(line) ? line : packet(`${line}\n`).toString())).join("");
    const answer = await globalThis.fetch(`${url}/git-upload-pack`, { method: "POST", headers, body });
    return { status: answer.status, body: await answer.text() };
  };
  return { url, fetch, inClone, ask };
}

const fetching = (...args: string[]) => ["command=fetch", DELIMITER, ...args, "done", FLUSH];

test.each([
  [1, ["three"]],
  [2, ["three", "two"]],
  [-1, ["three", "two", "one"]],
])("serves the start with %i commits of history", async (depth, history) => {
  const taken = await snapshot();
  const { url, fetch, inClone } = await serve(taken, depth);
  await fetch(url, `${SNAPSHOT_REF}:refs/start`);
  expect(await inClone("rev-parse", "refs/start")).toBe(taken.untrackedCommitId);
  const subjects = (await inClone("log", "--format=%s", taken.headCommitId)).split("\n");
  expect(subjects).toEqual(history);
  expect(await inClone("ls-tree", "--name-only", "refs/start")).toBe("file\nnew");
  expect(await inClone("fsck")).toBe("");
});

test("what a session starts from outlasts the user's repository, with no more history than was asked for", async () => {
  const blob = await git("rev-parse", "HEAD~1:file");
  const taken = await snapshot();
  await stores.open("ses_0", taken, { depth: 1, signal });
  await stores.keep({ signal });
  await git("commit", "-q", "--amend", "-am", "another");
  await git("reflog", "expire", "--expire=now", "--all");
  await git("gc", "-q", "--prune=now");
  await expect(git("cat-file", "-e", taken.headCommitId)).rejects.toThrow();
  // As a continuation is served.
  const { url, fetch, inClone } = await serve(taken);
  await fetch(url, `${SNAPSHOT_REF}:refs/start`);
  expect(await inClone("ls-tree", "--name-only", "refs/start")).toBe("file\nnew");
  expect(await inClone("fsck")).toBe("");
  rmSync(user, { recursive: true });
  await fetch(url, `+${SNAPSHOT_REF}:refs/again`);
  const store = join(storesDirectory(join(area, "state")), taken.store);
  await expect(run("git", ["--git-dir", store, "cat-file", "-e", blob])).rejects.toThrow();
});

test("what is kept of a second session is only what the first did not have", async () => {
  const packs = (store: string) => readdirSync(join(store, "objects/pack")).filter((name) => name.endsWith(".pack"));
  const first = await snapshot();
  const store = join(storesDirectory(join(area, "state")), first.store);
  await stores.open("ses_1", first, { depth: -1, signal });
  await stores.keep({ signal });
  const before = packs(store);
  writeFileSync(join(user, "more"), "more\n");
  await git("add", "more");
  await git("commit", "-qm", "four");
  await stores.open("ses_2", await snapshot(), { depth: -1, signal });
  await stores.keep({ signal });
  const added = packs(store).filter((name) => !before.includes(name));
  const counts = added.map(async (name) => {
    const { stdout } = await run("git", ["verify-pack", "-v", join(store, "objects/pack", name)]);
    return stdout.split("\n").filter((line) => /^[0-9a-f]{40} /.test(line)).length;
  });
  // The commit, its tree and its file; and what the snapshot itself has added.
  expect(Math.max(...(await Promise.all(counts)))).toBeLessThanOrEqual(7);
  await stores.keep({ signal });
  expect(packs(store)).toHaveLength(before.length + added.length);
});

test("keeps what a session starts from soon after it was opened, and sweeps on", async () => {
  const ended = new AbortController();
  const sweeping = stores.sweepRegularly(() => true, { signal: ended.signal, logger: pino({ level: "silent" }) });
  const taken = await snapshot();
  await stores.open("ses_1", taken, { depth: 1, signal });
  const served = join(storesDirectory(join(area, "state")), taken.store, "sessions/ses_1");
  await expect.poll(() => readdirSync(served), { timeout: 20_000 }).toContain("kept");
  ended.abort();
  await sweeping;
});

test("gives out nothing that is before the history that was asked for, whoever asks and how", async () => {
  await git("branch", "other", "HEAD~1");
  const taken = await snapshot();
  const parent = await git("rev-parse", "HEAD~1");
  const { url, fetch, inClone, ask } = await serve(taken);
  expect((await ask(fetching(`want ${parent}`))).status).toBe(403);
  expect((await ask(fetching(`want ${taken.untrackedCommitId}`, "want-ref refs/heads/other"))).status).toBe(403);
  expect((await ask(fetching(`want ${taken.untrackedCommitId}`, "filter blob:none"))).status).toBe(403);
  expect((await ask(["command=object-info", DELIMITER, "size", `oid ${parent}`, FLUSH])).status).toBe(403);
  // Two requests in one; and protocol 0, which has its wants elsewhere.
  const both = [...fetching(`want ${taken.untrackedCommitId}`), ...fetching(`want ${parent}`)];
  expect((await ask(both)).status).toBe(403);
  expect((await ask([`want ${parent}`, FLUSH, "done"], {})).status).toBe(403);
  await fetch(url, `${SNAPSHOT_REF}:refs/start`);
  for (const more of ["--deepen=5", "--unshallow", "--depth=100"]) {
    await fetch(more, url, `${SNAPSHOT_REF}:refs/start`).catch(() => "");
    await expect(inClone("cat-file", "-e", parent), more).rejects.toThrow();
  }
  // What a client says to have cut there, it is not given back.
  const { status, body } = await ask(
    fetching(`want ${taken.untrackedCommitId}`, `shallow ${parent}`, "deepen-relative", "deepen 10"),
  );
  expect(status).toBe(200);
  expect(body).not.toContain(`unshallow ${parent}`);
  expect(await inClone("ls-remote", url)).toBe(
    `${taken.untrackedCommitId}\tHEAD\n${taken.untrackedCommitId}\t${SNAPSHOT_REF}`,
  );
});

test("takes nothing, and serves no other repository", async () => {
  const taken = await snapshot();
  const { url, fetch, inClone } = await serve(taken);
  await fetch(url, `${SNAPSHOT_REF}:refs/start`);
  await expect(inClone("push", url, "refs/start:refs/heads/evil")).rejects.toThrow("403");
  await expect(fetch(url.replace(/repository$/, "other"), "HEAD")).rejects.toThrow("403");
  await expect(fetch(url.replace(/snapshot\.[a-z.]+/, "example.org"), "HEAD")).rejects.toThrow("403");
});

test("copies nothing of what is committed, and nothing twice", async () => {
  const taken = await snapshot();
  const objects = join(storesDirectory(join(area, "state")), taken.store, "objects");
  const list = () => readdirSync(objects, { recursive: true }).map(String).toSorted();
  await stores.open("ses_1", taken, { depth: 1, signal });
  const before = list();
  expect(await snapshot()).toEqual(taken);
  await stores.open("ses_2", taken, { depth: 1, signal });
  expect(list()).toEqual(before);
});

test("refuses a snapshot whose commit is gone, and one that was never there", async () => {
  const taken = await snapshot();
  rmSync(join(user, ".git/objects"), { recursive: true });
  mkdirSync(join(user, ".git/objects"));
  const missing = { reason: "SNAPSHOT_MISSING" };
  await expect(stores.open("ses_1", taken, { depth: 1, signal })).rejects.toMatchObject(missing);
  const other = { ...taken, store: "no-such" };
  await expect(stores.open("ses_1", other, { depth: 1, signal })).rejects.toMatchObject(missing);
});

test("keeps what sessions need, and the stores that nobody needs for a week", async () => {
  const taken = await snapshot();
  await stores.open("ses_1", taken, { depth: 1, signal });
  const directory = storesDirectory(join(area, "state"));
  const store = join(directory, taken.store);
  const day = 24 * 60 * 60_000;
  const sweep = (known: boolean, nowMs: number) => stores.sweep({ isKnown: () => known, nowMs });
  await sweep(true, Date.now() + 30 * day);
  expect(readdirSync(join(store, "sessions"))).toEqual(["ses_1"]);
  await sweep(false, Date.now());
  expect(readdirSync(join(store, "sessions"))).toEqual(["ses_1"]);
  await sweep(false, Date.now() + day);
  expect(readdirSync(join(store, "sessions"))).toEqual([]);
  utimesSync(store, new Date(), new Date());
  await sweep(false, Date.now() + 8 * day);
  expect(readdirSync(directory)).toEqual([]);
});
