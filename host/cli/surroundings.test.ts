import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BundledHost, bundleHost } from "../../test/support/bundle-host.ts";
import { makeHostDirectories, type TestDirectories } from "../../test/support/host-directories.ts";

let host: BundledHost;
beforeAll(async () => {
  host = await bundleHost({ version: "1.2.0" });
});
afterAll(() => host[Symbol.asyncDispose]());

/** Far above what any command takes, and below this test's own limit (ms). */
const ENDLESS_MS = 20_000;

/** Runs a command to its end. A signal instead of a code: it had to be killed. */
async function run({ env }: TestDirectories, args: string[], more: Record<string, string> = {}) {
  const [program, ...own] = host.command;
  const child = spawn(program!, [...own, ...args], {
    env: { ...env, ...more },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: ENDLESS_MS,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number | null, string | null]>,
  ]);
  return { end: code ?? signal, stdout, stderr, all: stdout + stderr };
}

test.each(["status", "shutdown", "list", "doctor"])("%s says that the socket's path is too long", async (command) => {
  await using place = await makeHostDirectories();
  const long = `${place.directories.runtimeDirectory}/${"x".repeat(120)}`;
  const { end, all } = await run(place, [command], { CLAUDECLUSTER_RUNTIME_DIR: long });
  expect(all).toContain(`${long} has too long a path for a socket`);
  expect(all).toContain("Set CLAUDECLUSTER_RUNTIME_DIR to a shorter one.");
  expect(end).toBe(3);
});
