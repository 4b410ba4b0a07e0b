import { tmpdir, userInfo } from "node:os";
import { join, resolve } from "node:path";
import { AppError } from "../proto/index.ts";

/** Directories of a host, as absolute paths. */
export interface HostDirectories {
  /** Holds config.json. Default: $XDG_CONFIG_HOME/claudecluster or ~/.config/claudecluster. */
  configDirectory: string;
  /** Holds the sessions and the log. Default: $XDG_STATE_HOME/claudecluster or ~/.local/state/claudecluster. */
  stateDirectory: string;
  /** Holds the socket. Default: $XDG_RUNTIME_DIR/claudecluster or claudecluster-<uid> among the temporary files. */
  runtimeDirectory: string;
}

/** Reads the directories from the environment. An empty variable counts as not set. Nothing is made. Throws HOME_UNKNOWN. */
export function readDirectories(env: NodeJS.ProcessEnv): HostDirectories {
  const home = (variable: string, ...otherwise: string[]) =>
    join(env[variable] || join(homeDirectory(env), ...otherwise), "claudecluster");
  const runtime = env["XDG_RUNTIME_DIR"];
  return {
    configDirectory: resolve(env["CLAUDECLUSTER_CONFIG_DIR"] || home("XDG_CONFIG_HOME", ".config")),
    stateDirectory: resolve(env["CLAUDECLUSTER_STATE_DIR"] || home("XDG_STATE_HOME", ".local", "state")),
    runtimeDirectory: resolve(
      env["CLAUDECLUSTER_RUNTIME_DIR"] ||
        (runtime ? join(runtime, "claudecluster") : join(tmpdir(), `claudecluster-${process.getuid?.() ?? "user"}`)),
    ),
  };
}

/** Returns Claude Code's configuration directory: CLAUDE_CONFIG_DIR, or ~/.claude. Throws HOME_UNKNOWN. */
export function claudeDirectory(env: NodeJS.ProcessEnv): string {
  return resolve(env["CLAUDE_CONFIG_DIR"] || join(homeDirectory(env), ".claude"));
}

/** Returns the user's home directory: HOME, or what the system's list of users says. Throws HOME_UNKNOWN. */
export function homeDirectory(env: NodeJS.ProcessEnv): string {
  if (env["HOME"]) return env["HOME"];
  try {
    // Not homedir(), to which an empty variable is a home.
    return userInfo().homedir;
  } catch (error) {
    throw new AppError("HOME_UNKNOWN", "This user has no home directory: HOME is not set, and the system knows none.", {
      help: "Set HOME, or all of CLAUDECLUSTER_CONFIG_DIR, CLAUDECLUSTER_STATE_DIR and CLAUDECLUSTER_RUNTIME_DIR.",
      cause: error,
    });
  }
}

/** Returns a path with the user's home directory in place of "~" at its start. A home is asked for only then. */
export function expandHome(path: string, home: () => string): string {
  return path === "~" || path.startsWith("~/") ? join(home(), path.slice(1)) : path;
}
