import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { type ConfigFile, configFilePath, readConfigFile } from "./config-file.ts";

/** Changes config.json, and nothing else in it, such that only this user can read it and no reader sees half of it. */
export function updateConfigFile(configDirectory: string, change: (config: ConfigFile) => void): string {
  const path = configFilePath(configDirectory);
  const config = readConfigFile(configDirectory);
  change(config);
  mkdirSync(configDirectory, { recursive: true, mode: 0o700 });
  const own = `${path}.${process.pid}`;
  try {
    writeFileSync(own, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600, flag: "wx" });
    renameSync(own, path);
  } catch (error) {
    rmSync(own, { force: true });
    throw error;
  }
  return path;
}
