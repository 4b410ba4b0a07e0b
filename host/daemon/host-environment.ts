import type { HostDirectories } from "../directories.ts";

/** What Claude Code sets for programs that it starts, and what holds credentials. */
const FRONTS_OWN = /^(ANTHROPIC_|CLAUDE_|CLAUDECODE$)/;

/**
 * Returns the environment of a host that is started on demand: the front's, without credentials and
 * everything else that is the business of the Claude Code session which happened to come first. The
 * host has its own configuration.
 */
export function hostEnvironment(env: NodeJS.ProcessEnv, directories: HostDirectories): NodeJS.ProcessEnv {
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => !FRONTS_OWN.test(name))),
    // Absolute, and the same whatever the host's own home may be.
    CLAUDECLUSTER_CONFIG_DIR: directories.configDirectory,
    CLAUDECLUSTER_STATE_DIR: directories.stateDirectory,
    CLAUDECLUSTER_RUNTIME_DIR: directories.runtimeDirectory,
  };
}
