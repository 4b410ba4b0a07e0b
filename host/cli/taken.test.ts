import { create } from "@bufbuild/protobuf";
import { Writable } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  ContainerSpecSchema,
  FileChange_Kind,
  FileChangeSchema,
  SessionSpecSchema,
  TakenChanges_Kind,
} from "../../proto/index.ts";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { Plain, Screen } from "../../test/support/screen.ts";
import { sessionResult } from "../mcp/tool-result.ts";
import type { CommandIo } from "./command-io.ts";
import { diffCommand } from "./diff.ts";
import { listCommand } from "./list.ts";
import { runCommand } from "./run.ts";
import { showCommand } from "./show.ts";
import { removeCommand } from "./steer.ts";

const PATCH = Buffer.from("diff --git a/x b/x\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+y\n");
const CHANGES = [create(FileChangeSchema, { path: "x", kind: FileChange_Kind.ADDED, addedLineCount: 1 })];
let sessions: MemorySessions;
beforeEach(() => {
  sessions = new MemorySessions();
});
afterEach(() => sessions[Symbol.dispose]());

const request = () => ({ spec: create(SessionSpecSchema, { task: "x" }), container: create(ContainerSpecSchema) });

async function finished(changes = CHANGES): Promise<string> {
  const { id } = await sessions.create(request());
  sessions.finish(id, changes.length === 0 ? undefined : PATCH, changes);
  return id;
}

function ioOf(given: Partial<CommandIo> = {}): CommandIo & { stdout: Plain; stderr: Plain } {
  const { signal } = new AbortController();
  const io = { stdin: process.stdin, stdout: new Plain(), stderr: new Plain(), env: {}, signal, ...given };
  return io as ReturnType<typeof ioOf>;
}

test("remove keeps changes that nobody has taken, says how many and what to do, and goes on with --discard", async () => {
  const [empty, full] = [await finished([]), await finished()];
  const io = ioOf();
  await removeCommand(sessions, [empty], { force: false, discard: false }, io);
  const refused = removeCommand(sessions, [full], { force: true, discard: false }, io);
  await expect(refused).rejects.toMatchObject({
    reason: "CHANGES_NOT_TAKEN",
    message: expect.stringContaining("has changed one file, which nobody has applied or saved"),
    help: expect.stringContaining(`claudecluster apply ${full}`),
  });
  await removeCommand(sessions, [full], { force: false, discard: true }, io);
  expect(io.stdout.text).toBe(`${empty}\n${full}\n`);
});

test("remove of several leaves only those that cannot be removed, and says why of each", async () => {
  const [first, empty, last] = [await finished(), await finished([]), await finished()];
  const io = ioOf();
  const removing = removeCommand(sessions, [first, empty, last], { force: false, discard: false }, io);
  await expect(removing).rejects.toMatchObject({ message: expect.stringContaining(last) });
  expect(io.stdout.text).toBe(`${empty}\n`);
  expect(io.stderr.text).toContain(`claudecluster apply ${first}`);
});

test("list and show say what became of the changes", async () => {
  const [first, second] = [await finished(), await finished()];
  await finished([]);
  await sessions.markTaken(second, { kind: TakenChanges_Kind.BRANCH, place: "claude/x in /repo" });
  const io = ioOf();
  await listCommand(sessions, { limit: 9, json: false }, io);
  const [head = "", none, taken, untaken, note] = io.stdout.text.split("\n");
  const column = head.indexOf("TAKEN");
  expect([none, taken, untaken].map((line) => line!.slice(column, column + 6).trim())).toEqual(["", "branch", "no"]);
  expect(note).toBe(
    "1 session with changes that nobody has taken; kept until they are: claudecluster apply, or remove --discard",
  );
  await showCommand(sessions, first, { json: false }, io);
  expect(io.stdout.text).toContain(`not yet: claudecluster apply ${first}\n`);
  await showCommand(sessions, second, { json: false }, io);
  expect(io.stdout.text).toMatch(/^taken +as branch claude\/x in \/repo, 2023-/m);
  const json = ioOf();
  await listCommand(sessions, { limit: 9, json: true }, json);
  expect((JSON.parse(json.stdout.text) as { taken?: string }[]).map(({ taken: text }) => text?.slice(0, 9))).toEqual([
    undefined,
    "as branch",
    "not yet",
  ]);
});

test("a diff that went whole to a pipe or file counts as saved; on a terminal, or cut short, it does not", async () => {
  const id = await finished();
  const taken = async () => (await sessions.get(id)).taken?.kind;
  await diffCommand(sessions, id, { json: true, force: false }, ioOf());
  await diffCommand(sessions, id, { json: false, force: false }, ioOf({ stdout: new Screen() }));
  expect(await taken()).toBeUndefined();
  const full = new Writable({ write: (_data, _encoding, done) => done(new Error("ENOSPC")) });
  full.on("error", () => {});
  await diffCommand(sessions, id, { json: false, force: false }, ioOf({ stdout: full }));
  expect(await taken()).toBeUndefined();
  const io = ioOf();
  await diffCommand(sessions, id, { json: false, force: false }, io);
  expect(io.stdout.text).toBe(PATCH.toString());
  expect(await taken()).toBe(TakenChanges_Kind.SAVED);
});

test("a run names at its end the command that takes the changes in, and so does a parent's answer", async () => {
  const io = ioOf({ stdout: new Screen() });
  const running = runCommand(sessions, request(), { detach: false, json: false }, io);
  await expect.poll(async () => (await sessions.list({})).sessions.length).toBe(1);
  const { id } = (await sessions.list({})).sessions[0]!;
  await expect.poll(() => sessions.watcherCount + sessions.feedReaderCount).toBeGreaterThan(0);
  sessions.finish(id, PATCH, CHANGES);
  expect(await running).toBe(0);
  expect((io.stdout as unknown as Screen).lines.join("\n")).toContain(`To take the changes: claudecluster apply ${id}`);
  const answer = async () => (await sessionResult(sessions, id)).content[0] as { text: string };
  expect((await answer()).text).toContain(`next: review the patch; apply_changes, or \`claudecluster apply ${id}\``);
  await sessions.markTaken(id, { kind: TakenChanges_Kind.WORK_TREE, place: "/repo" });
  expect((await answer()).text).toContain("taken: into the files of /repo, ");
});
