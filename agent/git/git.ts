import { gitFailed } from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import { run, type RunOptions, type RunResult } from "../process/run.ts";

/** Memory that runs out is to take a git before it takes the agent, and Claude (900) before git. */
const GIT_OOM_SCORE_ADJUST = 500;
/** Readable by all: the session's user reads what the base's user wrote. The agent's own umask is 077. */
const GIT_UMASK = "022";
/** Beginning of a script: it sets itself what `run` needs one more shell for. */
const BEGIN_SCRIPT = `umask ${GIT_UMASK}; { echo ${GIT_OOM_SCORE_ADJUST} > /proc/self/oom_score_adj; } 2>/dev/null\n`;

/**
 * Attributes for info/attributes of a git directory, which override all others: diffs ignore what .gitattributes say of
 * diffs. Line ends, encodings and ident stay with the repository.
 */
export const OUR_ATTRIBUTES = "* !diff\n";
/** Attributes of Claude's repository. Filters are off: the files themselves are compared. */
export const SESSION_ATTRIBUTES = `* -filter\n${OUR_ATTRIBUTES}`;
/**
 * Attributes that leave every byte as it is. working-tree-encoding cannot be switched off, so it is made unspecified.
 */
export const RAW_ATTRIBUTES = "* -text -crlf !eol -filter -ident !working-tree-encoding !diff\n";

/** Place where a git command works: its user, its variables, its configuration. */
export interface GitPlace {
  identity: Identity | undefined;
  /** Environment variables such as GIT_DIR. */
  variables?: Record<string, string>;
  /** Configuration that overrides every file's. */
  config?: Record<string, string>;
  /** Configuration with keys that may come more than once. */
  repeatedConfig?: readonly (readonly [key: string, value: string])[];
}

/** Input and limits of a git command. */
export type GitOptions = Pick<RunOptions, "signal" | "input" | "maxOutputBytes" | "onStderr">;

/** Returns the whole environment of a git command: no configuration but ours, no prompt, no language, no helper. */
function gitEnvironment(place: GitPlace): Record<string, string> {
  const single = { "core.hooksPath": "/dev/null", "gc.auto": "0", "core.fsync": "none", ...place.config };
  const config = [...Object.entries(single), ...(place.repeatedConfig ?? [])];
  const env: Record<string, string> = {
    PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
    HOME: "/nonexistent",
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_ALLOW_PROTOCOL: "",
    GIT_CONFIG_COUNT: String(config.length),
    ...place.variables,
  };
  config.forEach(([key, value], index) => {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  });
  return env;
}

/** Runs git and returns how it ended, even if it failed. */
export function tryGit(place: GitPlace, args: readonly string[], options: GitOptions): Promise<RunResult> {
  return runIn(place, "git", args, options);
}

/** Runs git and returns its output. Throws GIT_FAILED. */
export async function git(place: GitPlace, args: readonly string[], options: GitOptions): Promise<Buffer> {
  const result = await tryGit(place, args, options);
  if (result.code !== 0) throw gitFailed(args, result);
  return result.stdout;
}

/** Shell script, with its name for messages. */
export interface Script {
  name: string;
  text: string;
}

/** Removes the directory $1 and all that is in it. It need not be there. */
export const REMOVE: Script = { name: "rm", text: 'rm -rf -- "$1"' };

/** Runs a script in a place: as its identity, with git's environment there. Returns how it ended, even if it failed. */
export function tryShell(
  place: GitPlace,
  script: Script,
  args: readonly string[],
  options: GitOptions,
): Promise<RunResult> {
  const { identity } = place;
  const child = { identity, env: gitEnvironment(place) };
  return run("sh", ["-c", `${BEGIN_SCRIPT}${script.text}`, "sh", ...args], { ...child, ...options });
}

/** Runs a script as tryShell does. Returns its output. Throws GIT_FAILED. */
export async function shell(
  place: GitPlace,
  script: Script,
  args: readonly string[],
  options: GitOptions,
): Promise<Buffer> {
  const result = await tryShell(place, script, args, options);
  if (result.code !== 0) throw gitFailed([script.name], result);
  return result.stdout;
}

/** Runs any command in a place: as its identity, with git's environment there. Returns how it ended. */
export function runIn(
  place: GitPlace,
  command: string,
  args: readonly string[],
  options: GitOptions,
): Promise<RunResult> {
  const { identity } = place;
  const child = { identity, env: gitEnvironment(place), umask: GIT_UMASK, oomScoreAdjust: GIT_OOM_SCORE_ADJUST };
  return run(command, args, { ...child, ...options });
}
