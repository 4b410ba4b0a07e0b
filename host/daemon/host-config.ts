import { type HostConfig, readConfig } from "../config/config.ts";
import { readDirectories } from "../directories.ts";
import { hostEnvironment } from "./host-environment.ts";

/** Reads the configuration that a host has which is started on demand, whatever Claude Code this runs in. Throws as readConfig. */
export function readHostConfig(env: NodeJS.ProcessEnv): HostConfig {
  return readConfig(hostEnvironment(env, readDirectories(env)));
}
