import { buffer } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { artifactOf } from "../../test/agent/artifacts.ts";
import {
  Artifact_Kind,
  type EventBody,
  FileChange_Kind,
  FileChangeSchema,
  FilePatchedSchema,
} from "../../proto/index.ts";
import { NEW, said, temporaryStore } from "../../test/support/stored-sessions.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { salvageChanges } from "./salvage.ts";
import { SessionLog } from "./session-log.ts";

function patched(
  path: string,
  patch: string,
  options: { kind?: FileChange_Kind; part?: number; of?: number } = {},
): EventBody {
  const { kind = FileChange_Kind.MODIFIED, part = 0, of = 1 } = options;
  const value = create(FilePatchedSchema, {
    change: create(FileChangeSchema, { path, kind }),
    patch: Buffer.from(patch),
    partIndex: part,
    partCount: of,
  });
  return { case: "filePatched", value };
}

/** Turns the file's only line into another. */
function diff(path: string, line: string): string {
  return `diff --git a/${path} b/${path}\nindex 1..2 100644\n--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-old\n+${line}\n`;
}

function removal(path: string): string {
  return `diff --git a/${path} b/${path}\ndeleted file mode 100644\nindex 1..0\n--- a/${path}\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n`;
}

/** Salvages the changes of a log, and reads their patch. */
async function salvage(events: EventBody[]) {
  using store = SqliteStore.open(":memory:");
  store.createSession("ses_1", NEW);
  const log = new SessionLog(store, "ses_1");
  log.append(...events);
  const { patch, ...known } = await salvageChanges(log);
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
  const { changes, patch, incomplete } = await salvage([
    patched("a", diff("a", "a")),
    patched("harmless", diff(".git/hooks/post-checkout", "evil")),
    patched("b", diff("b", "b") + diff("c", "c")),
  ]);
  expect(Buffer.from(patch).toString()).toBe(diff("a", "a"));
  expect(changes.map(({ path }) => path)).toEqual(["a"]);
  expect(incomplete).toBe(true);
});

test("parts of several diffs may lie between each other, and only what follows the part before counts", async () => {
  const [a, b] = [diff("a", "a"), diff("b", "b")];
  const { patch } = await salvage([
    patched("b", b.slice(0, 50), { part: 0, of: 2 }),
    patched("a", "never gone on with", { part: 0, of: 3 }),
    patched("a", a.slice(0, 20), { part: 0, of: 3 }),
    patched("a", a.slice(20, 40), { part: 1, of: 3 }),
    patched("a", "the same again", { part: 1, of: 3 }),
    patched("b", b.slice(50), { part: 1, of: 2 }),
    patched("a", a.slice(40), { part: 2, of: 3 }),
    patched("b", "too many", { part: 2, of: 2 }),
    patched("c", "no beginning", { part: 1, of: 2 }),
  ]);
  expect(Buffer.from(patch).toString()).toBe(a + b);
});

test("the changes of a live session cost what their patch does, however long the log is, also after a restart", async () => {
  const readBy = async (roundCount: number) => {
    using place = temporaryStore();
    const write = (store: SqliteStore, rounds: number) => {
      for (let round = 0; round < rounds; round++) {
        store.append("ses_1", [
          { event: patched("a", diff("a", `round ${round}`)), occurTimeMs: 1000 },
          ...Array.from({ length: 50 }, () => said("x")),
        ]);
      }
    };
    const whole = diff("b", "b");
    {
      using store = SqliteStore.open(place.path);
      store.createSession("ses_1", NEW);
      write(store, roundCount);
      store.append("ses_1", [{ event: patched("b", whole.slice(0, 50), { part: 0, of: 2 }), occurTimeMs: 1000 }]);
    }
    {
      using store = SqliteStore.open(place.path);
      store.append("ses_1", [{ event: patched("b", whole.slice(50), { part: 1, of: 2 }), occurTimeMs: 1000 }]);
    }
    using store = SqliteStore.open(place.path);
    let count = 0;
    const read = store.read.bind(store);
    store.read = (...given) => {
      const events = read(...given);
      count += events.length;
      return events;
    };
    const { patch } = await salvageChanges(new SessionLog(store, "ses_1"));
    expect((await buffer(patch.read())).toString()).toBe(diff("a", `round ${roundCount - 1}`) + diff("b", "b"));
    return count;
  };
  const ofMany = await readBy(200);
  expect(ofMany).toBe(await readBy(2));
  expect(ofMany).toBeLessThan(20);
});
