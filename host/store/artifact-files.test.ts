import { createHash } from "node:crypto";
import { readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  Artifact_Kind,
  ArtifactSchema,
  PIECE_BYTES,
  type ReadableArtifact,
  SessionResultSchema,
} from "../../proto/index.ts";
import { finished, NEW, readWhole, storeArtifact, temporaryStore } from "../../test/support/stored-sessions.ts";
import { SqliteStore } from "./sqlite-store.ts";

const { PATCH } = Artifact_Kind;
const BYTES = Buffer.from(Array.from({ length: 2 * PIECE_BYTES + 3 }, (_, at) => at % 251));

let place: ReturnType<typeof temporaryStore>;
let directory: string;
beforeEach(() => {
  place = temporaryStore();
  directory = join(dirname(place.path), "artifacts");
});
afterEach(() => place[Symbol.dispose]());

const patchOf = (store: SqliteStore, bytes: Uint8Array) =>
  storeArtifact(store, { sessionId: "ses_1", kind: PATCH, bytes });
const keep = (store: SqliteStore, ...artifacts: ReadableArtifact[]) =>
  store.left.put("ses_1", { result: create(SessionResultSchema), artifacts });
const announce = (bytes: Uint8Array, sizeBytes = bytes.length) =>
  create(ArtifactSchema, {
    kind: PATCH,
    sizeBytes: BigInt(sizeBytes),
    sha256: new Uint8Array(createHash("sha256").update(bytes).digest()),
  });

test("keeps an artifact in a private file, for the next host too, and reads it from any place", async () => {
  {
    using store = SqliteStore.open(place.path);
    store.createSession("ses_1", NEW);
    keep(store, await patchOf(store, BYTES));
  }
  using store = SqliteStore.open(place.path);
  const stored = store.left.getArtifact("ses_1", PATCH)!;
  expect(stored.artifact).toEqual(announce(BYTES));
  expect((await readWhole(stored)).equals(BYTES)).toBe(true);
  expect((await readWhole(stored, 5)).equals(BYTES.subarray(5))).toBe(true);
  expect(await readWhole(stored, BYTES.length)).toHaveLength(0);
  for await (const piece of stored.read()) expect(piece.length).toBeLessThanOrEqual(PIECE_BYTES);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(readdirSync(directory).map((name) => statSync(join(directory, name)).mode & 0o777)).toEqual([0o600]);
});

test("what a killed host had not come to an end with is removed by the next one, whatever step it was at", async () => {
  {
    using store = SqliteStore.open(place.path);
    store.createSession("ses_1", NEW);
    const incoming = await store.left.createArtifact("ses_1", PATCH);
    await incoming.append(BYTES);
    expect(readdirSync(directory)).toEqual(["ses_1.patch.part"]);
  }
  {
    using store = SqliteStore.open(place.path);
    expect(readdirSync(directory)).toEqual([]);
    // All there, but no row says so.
    await patchOf(store, BYTES);
    expect(readdirSync(directory)).toEqual(["ses_1.patch"]);
    expect(store.left.getArtifact("ses_1", PATCH)).toBeUndefined();
  }
  using store = SqliteStore.open(place.path);
  expect(readdirSync(directory)).toEqual([]);
  expect(store.liveSessionIds()).toEqual(["ses_1"]);
  keep(store, await patchOf(store, BYTES));
  expect((await readWhole(store.left.getArtifact("ses_1", PATCH)!)).equals(BYTES)).toBe(true);
});

test("removing a session removes its files; whoever reads one has it to its end", async () => {
  using store = SqliteStore.open(place.path);
  store.createSession("ses_1", NEW);
  keep(store, await patchOf(store, BYTES));
  store.append("ses_1", [finished()]);
  const reading = store.left.getArtifact("ses_1", PATCH)!.read()[Symbol.asyncIterator]();
  const parts = [(await reading.next()).value as Uint8Array];
  await store.deleteSession("ses_1");
  expect(readdirSync(directory)).toEqual([]);
  expect(store.left.getArtifact("ses_1", PATCH)).toBeUndefined();
  for (let next = await reading.next(); next.done !== true; next = await reading.next()) parts.push(next.value);
  expect(Buffer.concat(parts).equals(BYTES)).toBe(true);
});

test("a removal that was killed after the file was gone is brought to its end", async () => {
  {
    using store = SqliteStore.open(place.path);
    store.createSession("ses_1", NEW);
    keep(store, await patchOf(store, BYTES));
    store.append("ses_1", [finished()]);
    void store.deleteSession("ses_1");
    rmSync(join(directory, "ses_1.patch"));
  }
  using store = SqliteStore.open(place.path);
  await store.prune({ nowMs: 0 });
  expect(store.left.getArtifact("ses_1", PATCH)).toBeUndefined();
});

test.each([
  ["other bytes", announce(Buffer.alloc(BYTES.length)), "does not have the announced hash"],
  ["fewer bytes", announce(BYTES, BYTES.length + 1), `has ${BYTES.length} of the announced`],
  ["more bytes", announce(BYTES, BYTES.length - 1), "has more than the announced"],
])("%s than were announced are refused and leave nothing", async (_, announced, said) => {
  using store = SqliteStore.open(place.path);
  const storing = async () => {
    await using incoming = await store.left.createArtifact("ses_1", PATCH, announced);
    await incoming.append(BYTES);
    await incoming.complete();
  };
  await expect(storing()).rejects.toMatchObject({
    reason: "ARTIFACT_INVALID",
    message: expect.stringContaining(said) as string,
  });
  expect(readdirSync(directory)).toEqual([]);
});

test("an artifact that is announced larger than one may be is refused before it comes", async () => {
  using store = SqliteStore.open(place.path);
  const creating = store.left.createArtifact("ses_1", PATCH, announce(BYTES, 256 * 1024 * 1024 + 1));
  await expect(creating).rejects.toMatchObject({ reason: "PATCH_TOO_LARGE", kind: "RESOURCE_EXHAUSTED" });
});

test("one without bytes takes the place of an earlier one and has no file", async () => {
  using store = SqliteStore.open(place.path);
  store.createSession("ses_1", NEW);
  await patchOf(store, BYTES);
  keep(store, await patchOf(store, Buffer.alloc(0)));
  expect(readdirSync(directory)).toEqual([]);
  expect(await readWhole(store.left.getArtifact("ses_1", PATCH)!)).toHaveLength(0);
});

test("a file that somebody has cut or removed is said to be so", async () => {
  using store = SqliteStore.open(place.path);
  store.createSession("ses_1", NEW);
  keep(store, await patchOf(store, BYTES));
  const file = join(directory, "ses_1.patch");
  writeFileSync(file, BYTES.subarray(0, 10));
  const damaged = { reason: "STORE_CORRUPT", metadata: { path: file } };
  await expect(readWhole(store.left.getArtifact("ses_1", PATCH)!)).rejects.toMatchObject(damaged);
  rmSync(file);
  await expect(readWhole(store.left.getArtifact("ses_1", PATCH)!)).rejects.toMatchObject(damaged);
});
