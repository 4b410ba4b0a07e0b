import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isConversationId, readTranscript, type UserPlace, withoutCosts, writeTranscript } from "./transcript.ts";

const id = "0b8f1c1e-5f0a-4c5f-9a52-0d8c2f6f3a11";
const signal = AbortSignal.timeout(30_000);
let home: string;
let place: UserPlace;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "transcript-"));
  place = { home, path: process.env["PATH"] ?? "", identity: undefined };
});

afterEach(() => rm(home, { recursive: true, force: true }));

const read = (maxBytes = 1_000_000) => readTranscript(place, id, { maxBytes, signal });

/** A place of that name where a transcript would be. */
async function spot(slug = "-workspace-repo"): Promise<string> {
  const directory = join(home, ".claude/projects", slug);
  await mkdir(directory, { recursive: true });
  return join(directory, `${id}.jsonl`);
}

test("puts a transcript where Claude Code looks for it, for its user only, and reads it again", async () => {
  const transcript = Buffer.from('{"type":"user"}\n');
  await writeTranscript(place, id, transcript, { cwd: "/workspace/my.repo_1", signal });
  const file = join(home, ".claude/projects/-workspace-my-repo-1", `${id}.jsonl`);
  expect(await readFile(file)).toEqual(transcript);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await read()).toEqual(transcript);
});

test("finds it under whatever directory Claude was started in", async () => {
  await writeFile(await spot("-elsewhere"), "x\n");
  expect((await read()).toString()).toBe("x\n");
});

test("is empty where Claude has said nothing, or something else than a file", async () => {
  expect(await read()).toHaveLength(0);
  const file = await spot();
  expect(await read()).toHaveLength(0);
  await symlink("/dev/zero", file);
  expect(await read()).toHaveLength(0);
  await rm(file);
  execFileSync("mkfifo", [file]);
  expect(await read()).toHaveLength(0);
});

test("reads no more than it may", async () => {
  await writeFile(await spot(), "x".repeat(2000));
  await expect(read(1999)).rejects.toMatchObject({ reason: "OUTPUT_TOO_LARGE" });
  expect(await read(2000)).toHaveLength(2000);
});

test("says that it cannot be written", async () => {
  await writeFile(join(home, ".claude"), "no directory");
  const writing = writeTranscript(place, id, Buffer.from("x"), { cwd: "/w", signal });
  await expect(writing).rejects.toMatchObject({ reason: "TRANSCRIPT_NOT_WRITTEN" });
});

test("reads a transcript although something beside it cannot be read", async () => {
  const file = await spot();
  await writeFile(file, "x\n");
  await mkdir(join(home, ".claude/projects/-closed"));
  await chmod(join(home, ".claude/projects/-closed"), 0o000);
  expect((await read()).toString()).toBe("x\n");
});

test("leaves out what the conversation has cost, and nothing else", () => {
  const said = JSON.stringify({ type: "user", message: { content: '{"type":"cost-state"}' } });
  const cost = JSON.stringify({ cost: 1, type: "cost-state" });
  const cut = withoutCosts(Buffer.from(`${said}\n${cost}\n${said}\n${cost}\n{"cut":`));
  expect(cut.toString()).toBe(`${said}\n${said}\n{"cut":`);
  expect(withoutCosts(Buffer.alloc(0))).toHaveLength(0);
});

test("knows the name of a conversation from a path", () => {
  expect(isConversationId(id)).toBe(true);
  for (const other of ["", "../x", `${id}/x`, `${id}\n`, "x".repeat(36)]) expect(isConversationId(other)).toBe(false);
});
