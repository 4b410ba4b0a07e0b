import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { onOlderNode } from "../../test/support/older-node.ts";
import { never, NEW, temporaryStore } from "../../test/support/stored-sessions.ts";
import { backUp } from "../backup/back-up.ts";
import { ExclusiveLock, hostLockPath } from "../exclusive-lock.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { restoreCommand } from "./backup.ts";
import type { CommandIo } from "./command-io.ts";

/** A host that is running, a backup of what another one has, and the command that restores it. */
async function start() {
  const place = temporaryStore();
  const other = temporaryStore();
  const stateDirectory = dirname(place.path);
  const file = join(place.directory, "backup.tar");
  {
    using store = SqliteStore.open(other.path);
    store.createSession("ses_1", NEW);
    const pieces: Uint8Array[] = [];
    await backUp(dirname(other.path), { write: async (bytes) => void pieces.push(bytes), signal: never });
    await writeFile(file, Buffer.concat(pieces));
  }
  let host = ExclusiveLock.take(hostLockPath(stateDirectory));
  const end = () => {
    host?.[Symbol.dispose]();
    host = undefined;
  };
  const link = {
    find: () => Promise.resolve(host && ({} as never)),
    stopHost: () => Promise.resolve(end()),
    gone: () => Promise.resolve(),
  };
  const io: CommandIo = {
    stdin: process.stdin,
    stdout: new PassThrough().resume(),
    stderr: new PassThrough().resume(),
    env: {},
    signal: never,
  };
  return {
    file,
    isRunning: () => host !== undefined,
    restore: ({ replace = false, shutdown = true } = {}) =>
      restoreCommand(
        link,
        { file, replace, shutdown },
        { stateDirectory, configDirectory: "", runtimeDirectory: "" },
        io,
      ),
    begin: () => {
      using store = SqliteStore.open(place.path);
      store.createSession("ses_9", NEW);
    },
    sessions: () => {
      using store = SqliteStore.open(place.path);
      return store.liveSessionIds();
    },
    [Symbol.dispose]() {
      end();
      for (const directory of [place, other]) directory[Symbol.dispose]();
    },
  };
}

test("a host is ended for a backup that is whole, and for no other", async () => {
  using place = await start();
  const whole = await readFile(place.file);
  await writeFile(place.file, whole.subarray(0, whole.length / 2));
  await expect(place.restore()).rejects.toMatchObject({ reason: "BACKUP_INVALID" });
  expect(place.isRunning()).toBe(true);
  await writeFile(place.file, whole);
  await expect(place.restore({ shutdown: false })).rejects.toMatchObject({ reason: "HOST_RUNNING" });
  expect(await place.restore()).toBe(0);
  expect(place.isRunning()).toBe(false);
  expect(place.sessions()).toEqual(["ses_1"]);
});

test("a host is ended for no backup that may not take the place of what is there", async () => {
  using place = await start();
  place.begin();
  await expect(place.restore()).rejects.toMatchObject({ reason: "RESTORE_REPLACES" });
  expect(place.isRunning()).toBe(true);
  expect(await place.restore({ replace: true })).toBe(0);
  expect(place.sessions()).toEqual(["ses_1"]);
});

test("a backup is restored on the oldest Node, with a host that runs and without one", async () => {
  using place = await start();
  expect(await onOlderNode(() => place.restore())).toBe(0);
  expect(await onOlderNode(() => place.restore({ replace: true, shutdown: false }))).toBe(0);
  expect(place.sessions()).toEqual(["ses_1"]);
});
