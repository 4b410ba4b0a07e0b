import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { HostDirectories } from "../directories.ts";
import { makeStateDirectory, onStateFile } from "../state-directory.ts";
import { hostEnvironment } from "./host-environment.ts";
import { keepProgram } from "./kept-program.ts";
import { readStartReport } from "./start-report.ts";

/**
 * Bounds for V8 (MiB). What comes through a tunnel is freed with the young objects, and until then counts as old: with room for
 * 16 MiB of those, or 128 in newer releases, all objects were looked through once for 9 MB that pass, a tenth of a second each time.
 * With room for 4 that happens in no transfer, but of fifty busy sessions' messages too many outlive two collections of the young,
 * and become old. The other is the least that old objects may take before they are.
 */
export const HEAP: readonly string[] = ["--max-semi-space-size=8", "--initial-old-space-size=96"];

/** Returns the path of the log of a host that was started on demand. */
export function hostLogPath(stateDirectory: string): string {
  return join(stateDirectory, "host.log");
}

/**
 * Starts a host that outlives this process: with a session of its own, without a terminal and without our open files. Without a
 * command it is another of this program. Resolves once it listens. Throws HOST_RUNNING, HOST_START_FAILED, and what the host could
 * not start for.
 */
export async function startHost(
  directories: HostDirectories,
  options: { command?: readonly string[] | undefined; env: NodeJS.ProcessEnv },
): Promise<void> {
  const { env } = options;
  const logPath = hostLogPath(directories.stateDirectory);
  makeStateDirectory(directories.stateDirectory);
  const command = options.command ?? ownCommand(directories);
  const log = onStateFile(logPath, () => openSync(logPath, "a", 0o600));
  try {
    const child = spawn(command[0]!, [...command.slice(1), "serve", "--on-demand"], {
      detached: true,
      cwd: "/",
      env: hostEnvironment(env, directories),
      stdio: ["ignore", log, log, "pipe"],
    });
    const failed = once(child, "error").then(([error]) => {
      throw error as Error;
    });
    failed.catch(() => {});
    const report = child.stdio[3] as Readable;
    await Promise.race([readStartReport(report, { logPath }), failed]);
    child.unref();
  } finally {
    closeSync(log);
  }
}

/** How this process was started, to start another of the same that outlives the package. */
function ownCommand({ stateDirectory }: HostDirectories): string[] {
  return [process.execPath, ...HEAP, ...process.execArgv, keepProgram(stateDirectory) ?? process.argv[1]!];
}
