import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Session_State } from "../../proto/index.ts";
import { entered, finished, NEW, said, temporaryStore } from "../../test/support/stored-sessions.ts";
import { SqliteStore } from "./sqlite-store.ts";

let place: ReturnType<typeof temporaryStore>;
let path: string;
beforeEach(() => {
  place = temporaryStore();
  path = place.path;
});
afterEach(() => place[Symbol.dispose]());

/** A closed store with a few pages of events. */
function fill(): void {
  using store = SqliteStore.open(path);
  for (let session = 0; session < 5; session++) {
    const events = Array.from({ length: 50 }, (_, index) => said("x".repeat(500), index + 1));
    store.createSession(`ses_${session}`, { ...NEW, events: [...events, finished()] });
  }
}

function overwrite(offset: number, bytes: Buffer): void {
  const file = openSync(path, "r+");
  writeSync(file, bytes, 0, bytes.length, offset);
  closeSync(file);
}

const opening = () => SqliteStore.open(path)[Symbol.dispose]();
const error = (reason: string) => expect.objectContaining({ reason }) as Error;

test("is readable by its user only", () => {
  SqliteStore.open(path)[Symbol.dispose]();
  expect(statSync(path).mode & 0o077).toBe(0);
  expect(statSync(dirname(path)).mode & 0o077).toBe(0);
});

test("refuses a newer file and leaves it as it is", () => {
  opening();
  const database = new DatabaseSync(path);
  database.exec("PRAGMA user_version = 99");
  database.close();
  expect(opening).toThrow(error("STORE_TOO_NEW"));
  expect(new DatabaseSync(path, { readOnly: true }).prepare("PRAGMA user_version").get()).toEqual({ user_version: 99 });
});

test.each([
  ["is cut off", () => truncateSync(path, 8192)],
  ["is cut off within its first page", () => truncateSync(path, 1000)],
  ["has a garbage header", () => overwrite(0, Buffer.alloc(100, "garbage"))],
  ["has a garbage page", () => overwrite(statSync(path).size - 3 * 4096, Buffer.alloc(4096, "garbage"))],
  ["is something else", () => copyFileSync(import.meta.filename, path)],
])("says what to do with a file that %s, and leaves it as it is", (_how, damage) => {
  fill();
  damage();
  const before = readFileSync(path);
  for (let times = 0; times < 2; times++) {
    expect(opening).toThrow(error("STORE_CORRUPT"));
    expect(opening).toThrow(
      expect.objectContaining({
        help: expect.stringContaining(path) as string,
        message: expect.stringContaining(path) as string,
      }) as Error,
    );
  }
  expect(readFileSync(path).equals(before)).toBe(true);
});

test("says so when a page turns out to be garbage while it is read", () => {
  fill();
  using store = SqliteStore.open(path);
  // Somebody else writes, so that nothing is read from memory.
  const other = new DatabaseSync(path);
  other.exec("INSERT INTO removed VALUES ('none'); PRAGMA wal_checkpoint(TRUNCATE)");
  other.close();
  overwrite(statSync(path).size - 3 * 4096, Buffer.alloc(4096, "garbage"));
  const readAll = () => [0, 1, 2, 3, 4].map((id) => store.read(`ses_${id}`, { afterSequence: 0, limit: 100 }));
  expect(readAll).toThrow(error("STORE_CORRUPT"));
});

test("says so when its directory is none", () => {
  expect(() => SqliteStore.open(join(import.meta.filename, "sessions.db"))).toThrow(error("STORE_NOT_WRITABLE"));
});

test("belongs to one process, until it is disposed of", () => {
  {
    using _host = SqliteStore.open(path);
    expect(opening).toThrow(error("STORE_IN_USE"));
  }
  opening();
});

test("stores everything in the file when it is closed, also what the thread has in hand", () => {
  const store = SqliteStore.open(path);
  store.createSession("ses_1", NEW);
  for (let sequence = 1; sequence <= 300; sequence++) store.append("ses_1", [said("x".repeat(60_000), sequence)]);
  store[Symbol.dispose]();
  expect(existsSync(`${path}-wal`)).toBe(false);
  using again = SqliteStore.open(path);
  expect(again.getSession("ses_1")?.lastSequence).toBe(300);
});

test("writes an event into its log's last page and its session's, and into no index", () => {
  using store = SqliteStore.open(path);
  store.createSession("ses_1", NEW);
  const pages = () => Math.floor(statSync(`${path}-wal`).size / (4096 + 24));
  const before = pages();
  for (let count = 0; count < 20; count++) store.append("ses_1", [entered(Session_State.RUNNING)]);
  expect(pages() - before).toBe(2 * 20);
});
