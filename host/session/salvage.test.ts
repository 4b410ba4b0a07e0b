import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  FileChange_Kind,
  FileChangeSchema,
  FilePatchedSchema,
  type SessionEvent,
  SessionEventSchema,
} from "../../proto/index.ts";
import { salvageChanges } from "./salvage.ts";

function patched(
  path: string,
  patch: string,
  options: { kind?: FileChange_Kind; part?: number; of?: number } = {},
): SessionEvent {
  const { kind = FileChange_Kind.MODIFIED, part = 0, of = 1 } = options;
  const value = create(FilePatchedSchema, {
    change: create(FileChangeSchema, { path, kind }),
    patch: Buffer.from(patch),
    partIndex: part,
    partCount: of,
  });
  return create(SessionEventSchema, { event: { case: "filePatched", value } });
}

test("keeps the newest whole diff of every file, deleted files first", () => {
  const { changes, patch } = salvageChanges([
    patched("b", "old b\n"),
    patched("a", "a1\n", { part: 0, of: 2 }),
    patched("a", "a2\n", { part: 1, of: 2 }),
    patched("b", "new b\n"),
    patched("gone", "gone\n", { kind: FileChange_Kind.DELETED }),
    patched("c", "c\n"),
    patched("c", "", { kind: FileChange_Kind.REVERTED }),
  ]);
  expect(Buffer.from(patch).toString()).toBe("gone\na1\na2\nnew b\n");
  expect(changes.map(({ path }) => path)).toEqual(["gone", "a", "b"]);
});

test("keeps the diff before when the newest one did not come whole", () => {
  const { patch } = salvageChanges([patched("a", "whole\n"), patched("a", "half", { part: 0, of: 2 })]);
  expect(Buffer.from(patch).toString()).toBe("whole\n");
});
