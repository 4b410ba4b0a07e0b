import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Artifact_Kind, ArtifactSchema } from "../../proto/index.ts";
import { finished, NEW, readWhole, said, storeArtifact, temporaryStore } from "../../test/support/stored-sessions.ts";
import { SqliteStore } from "./sqlite-store.ts";

// A file system of its own: needs root, as the agent's tests do.
const place = temporaryStore();
const disk = join(place.directory, "disk");
const path = join(disk, "state", "sessions.db");
beforeEach(() => {
  mkdirSync(disk, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]);
});
afterEach(() => {
  execFileSync("umount", [disk]);
  rmSync(place.directory, { recursive: true });
});

const noRoom = expect.objectContaining({
  reason: "STORE_FAILED",
  retryable: true,
  kind: "RESOURCE_EXHAUSTED",
}) as Error;

test("a full disk is said to be full, loses nothing, and takes more once there is room", () => {
  const ballast = join(disk, "ballast");
  writeFileSync(ballast, Buffer.alloc(1024 * 1024));
  {
    using store = SqliteStore.open(path);
    store.createSession("ses_1", NEW);
    let count = 0;
    const fill = () => {
      for (; count < 1000; count++) store.append("ses_1", [said("x".repeat(10_000), count + 1)]);
    };
    expect(fill).toThrow(noRoom);
    expect(fill).toThrow(noRoom);
    expect(() => store.createSession("ses_2", { ...NEW, container: "x".repeat(20_000) })).toThrow(noRoom);
    expect(store.getSession("ses_1")?.lastSequence).toBe(count);
    rmSync(ballast);
    store.append("ses_1", [said("x".repeat(10_000), ++count), finished()]);
    expect(store.getSession("ses_1")?.lastSequence).toBe(count + 1);
    expect(store.getSession("ses_2")).toBeUndefined();
  }
  using store = SqliteStore.open(path);
  const sequences: number[] = [];
  for (;;) {
    const page = store.read("ses_1", { afterSequence: sequences.at(-1) ?? 0, limit: 50 });
    if (page.length === 0) break;
    sequences.push(...page.map(({ sequence }) => sequence));
  }
  expect(sequences).toEqual(Array.from({ length: sequences.length }, (_, index) => index + 1));
  expect(store.liveSessionIds()).toEqual([]);
});

test("an artifact that finds no room leaves nothing, and is taken once there is some", async () => {
  const directory = join(disk, "state", "artifacts");
  const bytes = Buffer.alloc(1024 * 1024, "patch");
  using store = SqliteStore.open(path);
  store.createSession("ses_1", NEW);
  const ballast = join(disk, "ballast");
  writeFileSync(ballast, Buffer.alloc(1024 * 1024));
  const storing = () => storeArtifact(store, { sessionId: "ses_1", kind: Artifact_Kind.PATCH, bytes });
  await expect(storing()).rejects.toThrow(noRoom);
  expect(readdirSync(directory)).toEqual([]);
  const sha256 = createHash("sha256").update(bytes).digest();
  const announced = create(ArtifactSchema, { kind: Artifact_Kind.PATCH, sizeBytes: 1048576n, sha256 });
  // Before any of it has come.
  await expect(store.left.createArtifact("ses_1", Artifact_Kind.PATCH, announced)).rejects.toThrow(noRoom);
  rmSync(ballast);
  expect((await readWhole(await storing())).equals(bytes)).toBe(true);
});

test("a full disk is said to be full at the start, too", () => {
  writeFileSync(join(disk, "ballast"), Buffer.alloc(2 * 1024 * 1024 - 32 * 1024));
  expect(() => SqliteStore.open(path)).toThrow(noRoom);
  rmSync(join(disk, "ballast"));
  SqliteStore.open(path)[Symbol.dispose]();
});

test("a disk that cannot be written is said to be so", () => {
  SqliteStore.open(path)[Symbol.dispose]();
  execFileSync("mount", ["-o", "remount,ro", disk]);
  expect(() => SqliteStore.open(path)).toThrow(expect.objectContaining({ reason: "STORE_NOT_WRITABLE" }) as Error);
  execFileSync("mount", ["-o", "remount,rw", disk]);
  SqliteStore.open(path)[Symbol.dispose]();
});
