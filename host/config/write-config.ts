import { renameSync, rmSync, writeFileSync } from "node:fs";
import { AppError } from "../../proto/index.ts";
import { fileProblem } from "../file-problem.ts";
import { makeDirectory } from "../make-directory.ts";
import { configFilePath, readConfigFile } from "./config-file.ts";
import type { ConfigFile } from "./settings.ts";

/**
 * Changes config.json and nothing else in it. Only this user can read the file, and no reader sees half of it. Throws
 * CONFIG_NOT_WRITABLE, and what reading it throws.
 */
export function updateConfigFile(configDirectory: string, change: (config: ConfigFile) => void): string {
  const path = configFilePath(configDirectory);
  const config = readConfigFile(configDirectory);
  change(config);
  const own = `${path}.${process.pid}`;
  try {
    makeDirectory(configDirectory);
    writeFileSync(own, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600, flag: "wx" });
    renameSync(own, path);
  } catch (error) {
    removeIfThere(own);
    const problem = fileProblem(error);
    if (problem === undefined) throw error;
    throw new AppError("CONFIG_NOT_WRITABLE", `${path} cannot be written: ${problem.why}.`, {
      help: `${problem.cure}, or set CLAUDECLUSTER_CONFIG_DIR to another directory.`,
      metadata: { path },
      cause: error,
    });
  }
  return path;
}

function removeIfThere(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Where it could not be made; what kept it from that is told.
  }
}
