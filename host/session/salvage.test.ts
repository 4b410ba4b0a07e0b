import { buffer } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { artifactOf } from "../../test/agent/artifacts.ts";
import {
  Artifact_Kind,
  FileChange_Kind,
  FileChangeSchema,
  FilePatchedSchema,
  type SessionEvent,
  SessionEventSchema,
} from "../../proto/index.ts";
import { salvageChanges } from "./salvage.ts";
import type { SessionLog } from "./session-log.ts";

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

/** Turns the file's only line into another. */
function diff(path: string, line: string): string {
  return `diff --git a/${path} b/${path}\nindex 1..2 100644\n--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-old\n+${line}\n`;
}

function removal(path: string): string {
  return `diff --git a/${path} b/${path}\ndeleted file mode 100644\nindex 1..0\n--- a/${path}\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n`;
}

/** Salvages the changes of a log, and reads their patch. */
async function salvage(events: SessionEvent[]) {
  events.forEach((event, index) => (event.sequence = index + 1));
  const log = { all: () => events.values(), event: (sequence: number) => events[sequence - 1] };
  const { patch, ...known } = await salvageChanges(log as unknown as SessionLog);
  const bytes = await buffer(patch.read());
  expect(patch.artifact).toEqual(artifactOf(Artifact_Kind.PATCH, bytes));
  for (const offset of [1, 70, bytes.length]) {
    expect((await buffer(patch.read({ offset }))).equals(bytes.subarray(offset))).toBe(true);
  }
  return { ...known, patch: bytes };
}

test("keeps the newest whole diff of every file, deleted files first", async () => {
  const a = diff("a", "a");
  const { changes, patch } = await salvage([
    patched("b", diff("b", "old b")),
    patched("a", a.slice(0, 50), { part: 0, of: 2 }),
    patched("a", a.slice(50), { part: 1, of: 2 }),
    patched("b", diff("b", "new b")),
    patched("gone", removal("gone"), { kind: FileChange_Kind.DELETED }),
    patched("c", diff("c", "c")),
    patched("c", "", { kind: FileChange_Kind.REVERTED }),
  ]);
  expect(Buffer.from(patch).toString()).toBe(removal("gone") + a + diff("b", "new b"));
  expect(changes.map(({ path }) => path)).toEqual(["gone", "a", "b"]);
});

test("keeps the diff before when the newest one did not come whole", async () => {
  const whole = diff("a", "whole");
  const { patch } = await salvage([patched("a", whole), patched("a", "half", { part: 0, of: 2 })]);
  expect(Buffer.from(patch).toString()).toBe(whole);
});

test("leaves out a diff that is another file's, and says that the patch lacks something", async () => {
  const { changes, patch, patchTruncated } = await salvage([
    patched("a", diff("a", "a")),
    patched("harmless", diff(".git/hooks/post-checkout", "evil")),
    patched("b", diff("b", "b") + diff("c", "c")),
  ]);
  expect(Buffer.from(patch).toString()).toBe(diff("a", "a"));
  expect(changes.map(({ path }) => path)).toEqual(["a"]);
  expect(patchTruncated).toBe(true);
});
