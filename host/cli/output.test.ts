import { spawn, type StdioOptions } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BundledHost, bundleHost } from "../../test/support/bundle-host.ts";

let host: BundledHost;
beforeAll(async () => {
  host = await bundleHost({ version: "1.2.3" });
});
afterAll(() => host[Symbol.asyncDispose]());

async function run(command: readonly string[], stdio: StdioOptions) {
  const child = spawn(command[0]!, command.slice(1), { stdio });
  child.stdout?.destroy();
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [code, stderr] = await Promise.all([ended, child.stderr === null ? "" : text(child.stderr)]);
  return { code, stderr };
}

test("a full disk is an error of every command that prints, and said", async () => {
  const full = openSync("/dev/full", "w");
  const { code, stderr } = await run([...host.command, "--help"], ["ignore", full, "pipe"]);
  closeSync(full);
  expect(stderr).toMatch(/^OUTPUT_NOT_WRITTEN: .*ENOSPC.*\n.*kept\.\n$/);
  expect(code).toBe(3);
  const both = openSync("/dev/full", "w");
  expect(await run([...host.command, "credential", "set", "x"], ["ignore", "ignore", both])).toMatchObject({ code: 2 });
  expect(await run([...host.command, "version"], ["ignore", both, both])).toMatchObject({ code: 3 });
  closeSync(both);
});

test("a write that was cut short is no success", async () => {
  const directory = mkdtempSync(join(tmpdir(), "claudecluster-output-"));
  const path = join(directory, "help");
  const file = openSync(path, "w");
  // One block: the system takes what fits, and says only then that it takes no more.
  const limited = ["sh", "-c", `trap "" XFSZ; ulimit -f 1; exec "$@"`, "sh", ...host.command, "--help"];
  const { code, stderr } = await run(limited, ["ignore", file, "pipe"]);
  closeSync(file);
  expect(statSync(path).size).toBe(512);
  expect(stderr).toContain("OUTPUT_NOT_WRITTEN");
  expect(code).toBe(3);
  const whole = openSync(path, "w");
  expect((await run([...host.command, "--help"], ["ignore", whole, "pipe"])).code).toBe(0);
  closeSync(whole);
  expect(readFileSync(path, "utf8")).toMatch(/^Usage: [^]*\n$/);
  rmSync(directory, { recursive: true });
});

test("a reader that has gone ends the command in silence, with the code that SIGPIPE has", async () => {
  expect(await run([...host.command, "--help"], ["ignore", "pipe", "pipe"])).toEqual({ code: 141, stderr: "" });
});
