import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { HostDirectories } from "../directories.ts";
import { makeStateDirectory, onStateFile } from "../state-directory.ts";
import { hostEnvironment } from "./host-environment.ts";
import { readStartReport } from "./start-report.ts";

/** Returns the path of the log of a host that was started on demand. */
export function hostLogPath(stateDirectory: string): string {
  return join(stateDirectory, "host.log");
}

/**
 * Starts a host that outlives this process: with a session of its own, without a terminal and without our open files.
 * Resolves once it listens. Throws HOST_RUNNING, and what the host could not start for.
 */
export async function startHost(
  directories: HostDirectories,
  options: { command: readonly string[]; env: NodeJS.ProcessEnv },
): Promise<void> {
  const { command, env } = options;
  const logPath = hostLogPath(directories.stateDirectory);
  makeStateDirectory(directories.stateDirectory);
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
