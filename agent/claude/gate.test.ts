import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Gate } from "./gate.ts";

let home: string;
let claude: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "gate-"));
  claude = join(home, ".claude");
});
afterEach(() => rm(home, { recursive: true }));

const make = ({ signal = new AbortController().signal } = {}) =>
  Gate.make({
    home,
    cwd: join(home, "repo"),
    instructions: "@x\n",
    path: process.env["PATH"]!,
    identity: undefined,
    signal,
  });

test("who reads the credentials waits until the gate is opened, and finds none; nothing of the gate is left", async () => {
  await using gate = (await make())!;
  expect(await readdir(join(home, "repo"))).toEqual([]);
  expect(await readFile(join(claude, "CLAUDE.md"), "utf8")).toBe("@x\n");
  let read = false;
  const reading = promisify(execFile)("cat", [join(claude, ".credentials.json")]).finally(() => (read = true));
  expect(await gate.reached).toBe(true);
  expect(await readdir(claude)).toEqual(["CLAUDE.md"]);
  expect(read).toBe(false);
  gate.open();
  expect((await reading).stdout).toBe("{}\n");
});

test("a gate that nobody has come to is gone once it is disposed of", async () => {
  const gate = (await make())!;
  expect(await readdir(claude)).toEqual([".credentials.json", "CLAUDE.md"]);
  await gate[Symbol.asyncDispose]();
  expect(await gate.reached).toBe(false);
  expect(await readdir(claude)).toEqual(["CLAUDE.md"]);
});

test("where there are credentials there is no gate, and they stay", async () => {
  await mkdir(claude);
  await writeFile(join(claude, ".credentials.json"), "{}");
  expect(await make()).toBeUndefined();
  expect(await readdir(claude)).toContain(".credentials.json");
});

test("one that something in the home holds up is given up with the signal", async () => {
  await mkdir(claude);
  await promisify(execFile)("mkfifo", [join(claude, "CLAUDE.md")]);
  const canceling = new AbortController();
  const making = make(canceling);
  canceling.abort();
  expect(await making).toBeUndefined();
});
