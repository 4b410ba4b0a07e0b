import { create } from "@bufbuild/protobuf";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { checkUserFiles, UserFileSchema } from "../../proto/index.ts";
import { commandNames, copyUserFiles } from "./user-files.ts";

const file = (path: string, data: Buffer, executable = false) => create(UserFileSchema, { path, data, executable });
const deep = `skills/${"d".repeat(50)}/${"f".repeat(90)}`;

test("copies files to where Claude looks for them, for its user alone, also with long names and any bytes", async () => {
  const home = await mkdtemp(join(tmpdir(), "claudecluster-home-"));
  onTestFinished(() => rm(home, { recursive: true }));
  const files = [
    file("CLAUDE.md", Buffer.from("not by this way")),
    file("agents/größe.md", Buffer.alloc(512, 7)),
    file(deep, Buffer.alloc(513, 255), true),
    file("rules/-x", Buffer.alloc(0)),
  ];
  checkUserFiles(files);
  const place = { home, path: process.env["PATH"] ?? "", identity: undefined, signal: new AbortController().signal };
  // Twice does no harm.
  for (const _ of [1, 2]) await copyUserFiles(files, place);
  for (const { path, data, executable } of files.slice(1)) {
    const at = join(home, ".claude", path);
    expect((await readFile(at)).equals(data)).toBe(true);
    expect((await stat(at)).mode & 0o777).toBe(executable ? 0o700 : 0o600);
  }
  await expect(stat(join(home, ".claude/CLAUDE.md"))).rejects.toThrow("ENOENT");
});

test("names the commands that a message may begin with", () => {
  const paths = [
    "commands/ship.md",
    "commands/team/ask.md",
    "skills/greet/SKILL.md",
    "skills/greet/x.md",
    "agents/a.md",
  ];
  expect([...commandNames(paths.map((path) => file(path, Buffer.alloc(0))))]).toEqual(["ship", "team:ask", "greet"]);
});
