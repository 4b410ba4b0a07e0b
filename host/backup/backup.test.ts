import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { create, toJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { UsageDimension } from "../../proto/control.ts";
import {
  Artifact_Kind,
  MeteredUsageSchema,
  SessionEventSchema,
  SessionResultSchema,
  SessionStartedSchema,
  Session_State,
} from "../../proto/index.ts";
import {
  entered,
  finished,
  never,
  NEW,
  readWhole,
  said,
  storeArtifact,
  temporaryStore,
} from "../../test/support/stored-sessions.ts";
import { bareFiles, makeServedDirectory } from "../snapshots/served-directory.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { backUp } from "./back-up.ts";
import { finishRestore, readBackup, type Restored } from "./restore.ts";

const RESTORED = { sessionCount: 2, releasedCount: 1 };
const PATCH = Buffer.alloc(700_001, "a patch\n");

/** A store with a finished session, one that is live, and one that was removed. */
async function filledStore(): Promise<ReturnType<typeof temporaryStore>> {
  const place = temporaryStore();
  using store = SqliteStore.open(place.path);
  for (const id of ["ses_1", "ses_2", "ses_3"]) {
    const events = [entered(Session_State.RUNNING), said("one", 1), said("\u202e\0two", 2)];
    store.createSession(id, { ...NEW, requestId: `request ${id}`, userFiles: Buffer.from(id), events });
    store.usage.add(id, "2026-11-23", create(MeteredUsageSchema, { requestCount: 1, costUsd: 0.5 }), "claude-opus-5");
  }
  const artifacts = [];
  for (const kind of [Artifact_Kind.PATCH, Artifact_Kind.TRANSCRIPT] as const) {
    artifacts.push(
      await storeArtifact(store, { sessionId: "ses_1", kind, bytes: kind === 1 ? PATCH : Buffer.alloc(0) }),
    );
  }
  store.left.put("ses_1", { result: create(SessionResultSchema, { finalText: "Done." }), artifacts });
  for (const id of ["ses_1", "ses_3"]) store.append(id, [finished(5000, 1)]);
  store.putContainerRef("ses_2", '{"version":1,"runtime":"docker","id":"c0ffee"}');
  store.requests.put("ses_2", "message", Buffer.from("hello"));
  await store.deleteSession("ses_3");
  return place;
}

/** All that a store knows of its sessions. */
async function everythingOf(path: string): Promise<unknown> {
  using store = SqliteStore.open(path);
  const sessions = store.listSessions({ states: [], parent: undefined, beforeId: undefined, limit: 100 });
  const patch = store.left.getArtifact("ses_1", Artifact_Kind.PATCH);
  return {
    sessions,
    live: store.liveSessionIds(),
    events: sessions.map(({ id }) =>
      store.read(id, { afterSequence: 0, limit: 100 }).map((event) => toJson(SessionEventSchema, event)),
    ),
    results: sessions.map(({ id }) => store.left.getResult(id)),
    artifacts: [patch?.artifact, store.left.getArtifact("ses_1", Artifact_Kind.TRANSCRIPT)?.artifact],
    patch: patch && (await readWhole(patch)).toString("base64"),
    requests: sessions.map(({ id }) => store.requests.list(id)),
    userFiles: sessions.map(({ id }) => store.getUserFiles(id)),
    usage: store.usage.ofDay("2026-11-23"),
    container: store.getContainerRef("ses_2")?.replace('"version":0', '"version":1'),
    byRequest: store.findByRequest("request ses_2"),
  };
}

async function backupOf(stateDirectory: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  await backUp(stateDirectory, { write: async (bytes) => void pieces.push(bytes), signal: never });
  return Buffer.concat(pieces);
}

async function restore(
  stateDirectory: string,
  { input, replace, signal }: { input: AsyncIterable<Buffer>; replace: boolean; signal: AbortSignal },
): Promise<Restored> {
  await using backup = await readBackup(stateDirectory, { input, signal });
  return await backup.takePlace({ replace });
}

async function* from(bytes: Buffer, size = 100_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

test("a store is restored as it was, also one that is written to meanwhile", async () => {
  using place = await filledStore();
  using other = temporaryStore();
  let backup: Buffer;
  const expected = await everythingOf(place.path);
  {
    using store = SqliteStore.open(place.path);
    const making = backupOf(dirname(place.path));
    store.append("ses_2", [said("later", 3)]);
    backup = await making;
  }
  expect(readdirSync(dirname(place.path)).filter((name) => name.startsWith("backup"))).toEqual(["backup.lock"]);
  mkdirSync(dirname(other.path), { mode: 0o700 });
  expect(await restore(dirname(other.path), { input: from(backup), replace: false, signal: never })).toEqual(RESTORED);
  expect(await everythingOf(other.path)).toEqual(expected);
  expect(readdirSync(dirname(other.path)).sort()).toEqual([
    "artifacts",
    "host-id",
    "repositories",
    "restore.lock",
    "sessions.db",
    "sessions.db.lock",
  ]);
  for (const name of ["sessions.db", "artifacts/ses_1.patch"]) {
    expect(statSync(join(dirname(other.path), name)).mode & 0o777).toBe(0o600);
  }
  // What is in it is a tar, as others read it.
  writeFileSync(join(other.directory, "b.tar"), backup);
  const names = execFileSync("tar", ["-tf", join(other.directory, "b.tar")], { encoding: "utf8" });
  expect(names.split("\n")).toEqual(["claudecluster-backup", "artifacts/ses_1.patch", "sessions.db", "checksums", ""]);
});

test("sessions are not replaced without a word, and a backup that is cut or changed anywhere changes nothing", async () => {
  using place = await filledStore();
  const state = dirname(place.path);
  const backup = await backupOf(state);
  {
    using store = SqliteStore.open(place.path);
    store.createSession("ses_9", NEW);
  }
  const before = await everythingOf(place.path);
  // What SQLite has beside a database that is open counts as none.
  const namesIn = (directory: string) =>
    readdirSync(directory)
      .filter((name) => !/-(wal|shm)$|^restore.lock$/.test(name))
      .sort();
  const names = namesIn(state);
  const refused = async (bytes: Buffer, replace: boolean, reason: string) => {
    await expect(restore(state, { input: from(bytes), replace, signal: never })).rejects.toMatchObject({ reason });
    expect(namesIn(state)).toEqual(names);
  };
  await refused(backup, false, "RESTORE_REPLACES");
  for (const length of [0, 1, 512, 1024, 1536, 5000, backup.length / 2, backup.length - 1025, backup.length - 1]) {
    await refused(backup.subarray(0, length), true, "BACKUP_INVALID");
  }
  // In the title, in a header, in a patch, in the database, in the checksums.
  const database = backup.indexOf("SQLite format 3");
  for (const at of [10, 600, 1100, 1600, 300_000, database + 5000, backup.length - 1200]) {
    const changed = Buffer.from(backup);
    changed[at]! ^= 1;
    await refused(changed, true, "BACKUP_INVALID");
  }
  await refused(readFileSync(process.execPath).subarray(0, 4096), true, "BACKUP_INVALID");
  await refused(
    Buffer.from(backup.toString("latin1").replace("artifacts/ses_1", "artifacts/../.1"), "latin1"),
    true,
    "BACKUP_INVALID",
  );
  for (const title of ['{{format":1', '{"Format":1', '{"format":"']) {
    const other = Buffer.from(backup.toString("latin1").replace('{"format":1', title), "latin1");
    await refused(other, true, "BACKUP_INVALID");
  }
  const newer = Buffer.from(backup.toString("latin1").replace('{"format":1', '{"format":2'), "latin1");
  await refused(newer, true, "BACKUP_TOO_NEW");
  const aborted = AbortSignal.abort(new Error("enough"));
  await expect(restore(state, { input: from(backup), replace: true, signal: aborted })).rejects.toThrow("enough");
  expect(await everythingOf(place.path)).toEqual(before);

  expect(await restore(state, { input: from(backup, 777), replace: true, signal: never })).toEqual({
    ...RESTORED,
    releasedCount: 0,
  });
  using store = SqliteStore.open(place.path);
  expect(store.getSession("ses_9")).toBeUndefined();
});

test.each([
  "CREATE TRIGGER later AFTER DELETE ON session BEGIN UPDATE removed SET session_id = '../../x'; END",
  "CREATE VIEW more AS SELECT 1",
  "CREATE VIRTUAL TABLE more USING fts5(x)",
  "UPDATE session SET id = '../ses_1' WHERE id = 'ses_2'",
  "UPDATE session SET id = 'ses_2/../../../home' WHERE id = 'ses_2'",
  "INSERT INTO removed VALUES ('ses_')",
  "INSERT INTO artifact (session_id, kind, size_bytes, sha256) VALUES ('../../x', 1, 0, x'00')",
])("a backup whose database was made by somebody to reach other files is refused: %s", async (sql) => {
  using place = await filledStore();
  using other = temporaryStore();
  const database = new DatabaseSync(place.path);
  database.exec(sql);
  database.close();
  const backup = await backupOf(dirname(place.path));
  const state = dirname(other.path);
  mkdirSync(state);
  await expect(restore(state, { input: from(backup), replace: true, signal: never })).rejects.toMatchObject({
    reason: "BACKUP_INVALID",
  });
  expect(readdirSync(state)).toEqual(["restore.lock"]);
});

test("a session that is removed while the backup is made is told by its usage alone, as the host tells it", async () => {
  using place = temporaryStore();
  using other = temporaryStore();
  using store = SqliteStore.open(place.path);
  const spec = { task: "x", repository: { uri: "https://example.com/greeter" } };
  const value = create(SessionStartedSchema, { sessionId: "ses_1", caller: "ann", spec });
  store.createSession("ses_1", { ...NEW, events: [{ event: { case: "sessionStarted", value }, occurTimeMs: 1 }] });
  store.usage.add("ses_1", "2026-11-23", create(MeteredUsageSchema, { requestCount: 1 }), "claude-opus-5");
  const patch = await storeArtifact(store, { sessionId: "ses_1", kind: Artifact_Kind.PATCH, bytes: PATCH });
  store.left.put("ses_1", { result: create(SessionResultSchema), artifacts: [patch] });
  store.append("ses_1", [finished(5000, 1)]);
  const pieces: Uint8Array[] = [];
  const write = async (bytes: Uint8Array) => {
    // Its title is written once the database is copied.
    if (pieces.push(bytes) === 1) await store.deleteSession("ses_1");
  };
  expect(await backUp(dirname(place.path), { write, signal: never })).toMatchObject({ sessionCount: 0 });
  mkdirSync(dirname(other.path), { mode: 0o700 });
  await restore(dirname(other.path), { input: from(Buffer.concat(pieces)), replace: false, signal: never });
  using restored = SqliteStore.open(other.path);
  const by = [UsageDimension.REPOSITORY, UsageDimension.STATE, UsageDimension.CALLER];
  expect(restored.usage.report({ by })).toEqual(store.usage.report({ by }));
  expect(restored.usage.report({ by })).toMatchObject([{ repository: "https://example.com/greeter", caller: "ann" }]);
});

test("a backup is read while a host runs, and nobody takes it for one that was killed", async () => {
  using place = await filledStore();
  using other = temporaryStore();
  const state = dirname(other.path);
  mkdirSync(state, { mode: 0o700 });
  const read = () =>
    backupOf(dirname(place.path)).then((bytes) => readBackup(state, { input: from(bytes), signal: never }));
  {
    await using backup = await read();
    // A host begins, and makes a session.
    await finishRestore(state);
    {
      using store = SqliteStore.open(other.path);
      store.createSession("ses_9", NEW);
    }
    await expect(read()).rejects.toMatchObject({ reason: "RESTORE_RUNNING", retryable: true });
    await expect(backup.takePlace({ replace: false })).rejects.toMatchObject({ reason: "RESTORE_REPLACES" });
    expect(existsSync(join(state, "restoring"))).toBe(true);
    expect(await backup.takePlace({ replace: true })).toEqual(RESTORED);
  }
  expect(existsSync(join(state, "restoring"))).toBe(false);
  expect(await everythingOf(other.path)).toEqual(await everythingOf(place.path));
  await (await read())[Symbol.asyncDispose]();
  expect(existsSync(join(state, "restoring"))).toBe(false);
});

test("a restore that was killed has either not begun or is ended by whoever comes next", async () => {
  using place = await filledStore();
  using other = temporaryStore();
  const state = dirname(other.path);
  const expected = await everythingOf(place.path);
  const backup = await backupOf(dirname(place.path));
  mkdirSync(state, { mode: 0o700 });
  await restore(state, { input: from(backup), replace: false, signal: never });
  // Killed while it read: what it had does not count.
  mkdirSync(join(state, "restoring/artifacts"), { recursive: true });
  await finishRestore(state);
  expect(existsSync(join(state, "restoring"))).toBe(false);
  expect(await everythingOf(other.path)).toEqual(expected);
  // Killed before each of the steps after that: some of it is in its place.
  for (const moved of [
    [],
    ["artifacts"],
    ["artifacts", "repositories"],
    ["artifacts", "repositories", "sessions.db"],
  ]) {
    const whole = join(state, "restored");
    mkdirSync(whole);
    for (const name of ["artifacts", "repositories", "sessions.db"]) {
      if (moved.includes(name)) continue;
      renameSync(join(state, name), join(whole, name));
      if (name === "sessions.db") {
        const database = new DatabaseSync(join(state, name));
        database.exec("CREATE TABLE session (id TEXT)");
        database.close();
        writeFileSync(`${join(state, name)}-wal`, "of the one before");
      } else mkdirSync(join(state, name));
    }
    await finishRestore(state);
    expect(await everythingOf(other.path), String(moved)).toEqual(expected);
    expect(existsSync(whole)).toBe(false);
  }
});

test("what sessions of a local repository started from is restored, under another path, without git's settings", async () => {
  using place = await filledStore();
  using other = temporaryStore();
  const state = dirname(place.path);
  const git = (directory: string, ...args: string[]) =>
    execFileSync(
      "git",
      ["-C", directory, "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@b", ...args],
      { encoding: "utf8" },
    ).trim();
  const store = join(state, "repositories", "greeter-1");
  for (const name of ["greeter-1", "unused-1"]) {
    const bare = join(state, "repositories", name);
    mkdirSync(bare, { recursive: true });
    git(bare, "init", "-q", "--bare");
  }
  const blob = join(place.directory, "a");
  writeFileSync(blob, "hello\n");
  const id = git(store, "hash-object", "-w", blob);
  const tree = execFileSync("git", ["-C", store, "mktree"], {
    input: `100644 blob ${id}\ta\n`,
    encoding: "utf8",
  }).trim();
  const commit = git(store, "commit-tree", "-m", "start", tree);
  for (const session of ["ses_1", "ses_3"]) {
    const served = { startCommitId: commit, shallow: [commit], objectDirectory: join(store, "objects") };
    await makeServedDirectory(join(store, "sessions", session), served);
  }
  writeFileSync(join(store, "sessions/ses_1/kept"), "");
  writeFileSync(join(store, "config"), `${bareFiles(commit)["config"]}\tfsmonitor = touch /tmp/evil\n`);
  writeFileSync(join(state, "tokens.json"), "a secret");
  const backup = await backupOf(state);
  expect(backup.includes("a secret")).toBe(false);
  expect(backup.includes("fsmonitor")).toBe(false);
  rmSync(state, { recursive: true });

  const target = dirname(other.path);
  mkdirSync(target, { mode: 0o700 });
  await restore(target, { input: from(backup), replace: false, signal: never });
  expect(readdirSync(join(target, "repositories"))).toEqual(["greeter-1"]);
  const sessions = join(target, "repositories/greeter-1/sessions");
  expect(readdirSync(sessions)).toEqual(["ses_1"]);
  expect(readdirSync(join(sessions, "ses_1"))).toContain("kept");
  expect(git(join(sessions, "ses_1"), "show", "HEAD:a")).toBe("hello");
  expect(git(join(target, "repositories/greeter-1"), "cat-file", "-p", `${commit}:a`)).toBe("hello");
  expect(() => git(join(target, "repositories/greeter-1"), "config", "core.fsmonitor")).toThrow();
});
