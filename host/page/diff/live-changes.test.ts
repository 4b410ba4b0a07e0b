import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  ChangesUpdatedSchema,
  type EventBody,
  FileChange_Kind as Kind,
  FileChangeSchema,
  FilePatchedSchema,
} from "../../../proto/index.ts";
import { LiveChanges } from "./live-changes.ts";
import { parsePatch } from "./patch.ts";

const patchOf = (path: string, text: string) =>
  new TextEncoder().encode(
    `diff --git a/${path} b/${path}\n--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-old\n+${text}\n`,
  );

function part(
  path: string,
  patch: Uint8Array,
  partIndex = 0,
  partCount = 1,
  kind = Kind.MODIFIED,
): { event: EventBody } {
  const change = create(FileChangeSchema, { path, kind });
  return { event: { case: "filePatched", value: create(FilePatchedSchema, { change, patch, partIndex, partCount }) } };
}

const shown = (live: LiveChanges) => live.files.map(({ path, lines }) => `${path} ${lines.at(-1) ?? ""}`);

test("each file is as its newest whole diff says", () => {
  const live = new LiveChanges();
  live.replace(parsePatch(patchOf("a", "first")));
  expect(live.add(part("b", patchOf("b", "new")))).toBe(true);
  expect(live.add(part("a", patchOf("a", "second")))).toBe(true);
  expect(shown(live)).toEqual(["a +second", "b +new"]);
  expect(live.add(part("b", new Uint8Array(), 0, 1, Kind.REVERTED))).toBe(true);
  expect(shown(live)).toEqual(["a +second"]);
  expect(live.add({ event: { case: undefined } })).toBe(false);
});

test("a diff in parts counts once all are there, in their order", () => {
  const live = new LiveChanges();
  const patch = patchOf("a", "whole");
  const [first, second] = [patch.subarray(0, 30), patch.subarray(30)];
  expect(live.add(part("a", second, 1, 2))).toBe(false);
  expect(live.add(part("a", first, 0, 2))).toBe(false);
  // Other events may stand between them.
  expect(live.add(part("b", patchOf("b", "b")))).toBe(true);
  expect(live.add(part("a", second, 1, 2))).toBe(true);
  expect(shown(live)).toEqual(["b +b", "a +whole"]);
});

test("a file whose diff is too large to be told is there with its counts", () => {
  const live = new LiveChanges();
  const changes = [{ path: "huge", kind: Kind.ADDED, addedLineCount: 900_000 }];
  const event: EventBody = { case: "changesUpdated", value: create(ChangesUpdatedSchema, { changes, changeCount: 1 }) };
  expect(live.add({ event })).toBe(true);
  expect(live.add({ event })).toBe(false);
  expect(live.files).toMatchObject([{ path: "huge", kind: "added", addedLines: 900_000, lines: [], cut: true }]);
});
