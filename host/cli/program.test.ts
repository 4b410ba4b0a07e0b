import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Plain } from "../../test/support/screen.ts";
import { main } from "./program.ts";

test("a command that a signal has ended says so, and why it exits as it does", async () => {
  const directory = mkdtempSync(join(tmpdir(), "program-"));
  try {
    writeFileSync(join(directory, "file"), "x\n");
    const [stdout, stderr] = [new Plain(), new Plain()];
    const env = { ...process.env, HOME: directory, CLAUDECLUSTER_STATE_DIR: join(directory, "state") };
    const io = { stdin: process.stdin, stdout, stderr, env, signal: AbortSignal.abort(new Error("SIGINT")) };
    expect(await main(["run", "x", "--repository", directory], io)).toBe(130);
    expect(stderr.text).toBe("Canceled by SIGINT.\n");
  } finally {
    rmSync(directory, { recursive: true });
  }
});
