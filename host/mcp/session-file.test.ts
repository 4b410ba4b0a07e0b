import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { git } from "../../test/model/small-repository.ts";
import { connectInProcess } from "../../test/support/mcp-in-process.ts";
import { ContainerSpecSchema, SessionSpecSchema, WorkspaceReadySchema } from "../../proto/index.ts";
import { fileUri } from "../present/session-resources.ts";

let root: string;
let start: string;
let patch: Buffer;
const repository = () => join(root, "repository");
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "claudecluster-file-"));
  const at = repository();
  await git(root, "init", "-q", at);
  const files = { "a.txt": "one\ntwo\n", "same.txt": "same\n", "gone.txt": "x\n", "large.txt": "x".repeat(2 ** 20) };
  for (const [name, text] of Object.entries(files)) await writeFile(join(at, name), text);
  const commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "start"];
  await git(at, "add", ".");
  await git(at, ...commit);
  start = (await git(at, "rev-parse", "HEAD")).trim();
  await rm(join(at, "gone.txt"));
  await writeFile(join(at, "a.txt"), "one\nzwei\n");
  await writeFile(join(at, "größe [1].txt"), "neu %41\u202e\n");
  await writeFile(join(at, "bild.bin"), Buffer.of(0, 1, 2, 255));
  await writeFile(join(at, "large.txt"), "y".repeat(2 ** 20 + 1));
  await git(at, "add", "-A");
  patch = execFileSync("git", ["-C", at, "diff", "--cached", "--binary", "--full-index"], { maxBuffer: 2 ** 26 });
  await git(at, "reset", "-q", "--hard");
});
afterAll(() => rm(root, { recursive: true }));

/** A client in a directory, and a live session with that patch. */
async function open(directory: string, sessions: MemorySessions, mode: "legacy" | "auto" = "legacy") {
  const container = create(ContainerSpecSchema);
  const { id } = await sessions.create({ spec: create(SessionSpecSchema, { task: "x" }), container });
  const value = create(WorkspaceReadySchema, { baseCommitId: start });
  sessions.say(id, { case: "workspaceReady", value });
  sessions.change(id, patch);
  const project = { directory, stateDirectory: join(root, "state") };
  const client = await connectInProcess({ sessions, project }, mode);
  return { id, client, read: async (path: string) => (await client.readResource({ uri: fileUri(id, path) })).contents };
}

test.each(["legacy", "auto"] as const)("reads a file as a session has it now (%s)", async (mode) => {
  using sessions = new MemorySessions();
  const { client, id, read } = await open(repository(), sessions, mode);
  await using _client = client;
  expect(await read("a.txt")).toMatchObject([{ mimeType: "text/plain", text: "one\nzwei\n" }]);
  expect(await read("same.txt")).toMatchObject([{ text: "same\n" }]);
  // What could fool a reader is bytes.
  expect(await read("größe [1].txt")).toMatchObject([{ blob: Buffer.from("neu %41\u202e\n").toString("base64") }]);
  expect(await read("bild.bin")).toMatchObject([{ mimeType: "application/octet-stream", blob: "AAEC/w==" }]);
  await expect(read("gone.txt")).rejects.toThrow("The session has no file gone.txt.");
  await expect(read(".git/config")).rejects.toThrow("The session has no file .git/config: .git/config is inside");
  await expect(read("large.txt")).rejects.toThrow("large.txt has 1048577 bytes, more than are read here.");
  const template = "claudecluster://sessions/{session_id}/file/{+path}";
  const { completion } = await client.complete({
    ref: { type: "ref/resource", uri: template },
    argument: { name: "path", value: "ö" },
    context: { arguments: { session_id: id } },
  });
  expect(completion.values).toEqual(["größe [1].txt"]);
});

test("reads of a session whose start is elsewhere what it has added", async () => {
  using sessions = new MemorySessions();
  const { client, read } = await open(root, sessions);
  await using _client = client;
  expect(await read("bild.bin")).toMatchObject([{ blob: "AAEC/w==" }]);
  await expect(read("a.txt")).rejects.toThrow("What a.txt was before the session is not on this machine.");
  await expect(read("same.txt")).rejects.toThrow("What same.txt was before the session is not on this machine.");
});
