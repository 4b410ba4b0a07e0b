import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readConfig } from "./config.ts";
import { TIMEOUTS } from "./timeouts.ts";
import { noteClaude, versionReader } from "./versions.ts";

let directory: string;
beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), "versions-"))));
afterEach(() => rm(directory, { recursive: true }));

const claudeCommand = () => join(directory, "claude");
/** Puts a program there that says this version, and notes that it was asked. */
const install = (version: string) =>
  writeFile(claudeCommand(), `#!/bin/sh\necho . >> ${directory}/asked\necho ${version}\n`, { mode: 0o755 });
const asked = async () => (await readFile(join(directory, "asked"), "utf8")).split("\n").length - 1;

test("the version that an image had when it was made is not asked for, unless its Claude Code is another by now", async () => {
  const config = { ...readConfig({ PATH: process.env["PATH"] }, { ownUid: 501 }), claudeCommand: claudeCommand() };
  const read = () => versionReader(config, { timeouts: TIMEOUTS, log: pino({ level: "silent" }) }).claude();
  await install("2.1.1");
  expect(await read()).toBe("2.1.1");
  await noteClaude(config);
  expect([await read(), await asked()]).toEqual(["2.1.1", 2]);
  await install("2.1.100");
  expect([await read(), await asked()]).toEqual(["2.1.100", 3]);
});
