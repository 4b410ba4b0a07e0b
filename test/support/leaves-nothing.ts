import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { processesWith } from "./processes.ts";
import { makeMemory, memoryOf } from "./suite-memory.ts";

/** For what is ending by itself, such as a process that was sent a signal. */
const ENDING_MS = 10_000;
const MARK = "CLAUDECLUSTER_SUITE_DIRECTORY";

/**
 * Gives the suite temporary directories of its own, one of them in memory if that can be, and fails if a file in them or a process
 * with one of them is left at the end.
 */
export function setup(): (() => Promise<void>) | undefined {
  // Every project asks for it; they share one.
  if (process.env[MARK] !== undefined) return undefined;
  const directory = mkdtempSync(join(tmpdir(), "claudecluster-suite-"));
  // Sessions of the tests run as other users.
  chmodSync(directory, 0o755);
  process.env[MARK] = directory;
  const directories = makeMemory(directory) ? [directory, memoryOf(directory)] : [directory];
  const watcher = watch(directory);
  process.env["TMPDIR"] = directory;
  return async () => {
    const processes = () => processesWith(directories).map(({ pid, command }) => `process ${pid} ${command}`);
    const files = () => directories.flatMap((each) => readdirSync(each)).map((name) => `file ${name}`);
    const left = () => [...files(), ...processes()];
    for (const endMs = Date.now() + ENDING_MS; left().length > 0 && Date.now() < endMs; await delay(100));
    const all = left();
    for (const each of directories) rmSync(each, { recursive: true, force: true });
    watcher.end("done");
    if (all.length > 0) throw new Error(`The suite left behind: ${all.join(", ")}`);
  };
}

/** Starts what ends all that the suite has begun, if the suite is interrupted before it could; see there. */
function watch(directory: string): Writable {
  const script = fileURLToPath(new URL("end-with-suite.ts", import.meta.url));
  const args = ["--experimental-transform-types", "--disable-warning=ExperimentalWarning", script, directory];
  const watcher = spawn(process.execPath, args, { stdio: ["pipe", "ignore", "inherit"], detached: true });
  watcher.unref();
  // The pipe is a socket.
  (watcher.stdin as Socket).unref();
  return watcher.stdin;
}
