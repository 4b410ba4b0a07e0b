import { AppError, cutChars } from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import { run, type RunOptions, type RunResult } from "../process/run.ts";

/** Memory that runs out is to take a git before it takes the agent, and Claude (900) before git. */
const GIT_OOM_SCORE_ADJUST = 500;

/**
 * What info/attributes of a git directory holds: it has the last word on each attribute that it names. Line ends,
 * encodings and ident are left to the repository's own .gitattributes. What these say of diffs does not count.
 */
export const OUR_ATTRIBUTES = "* !diff\n";
/** For Claude's repository: whatever Claude configures, the files are what we compare them with. */
export const SESSION_ATTRIBUTES = `* -filter\n${OUR_ATTRIBUTES}`;
/** Leaves every byte as it is. working-tree-encoding has no "off": it is made unspecified. */
export const RAW_ATTRIBUTES = "* -text -crlf !eol -filter -ident !working-tree-encoding !diff\n";

/** Where a git command works, and as whom. */
export interface GitPlace {
  identity: Identity | undefined;
  /** GIT_DIR and its like. */
  variables?: Record<string, string>;
  /** Configuration on top of everything. */
  config?: Record<string, string>;
  /** More of it, in which a key may come more than once. */
  repeatedConfig?: readonly (readonly [key: string, value: string])[];
}

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

/** Runs git and returns how it ended, whatever that is. */
export function tryGit(place: GitPlace, args: readonly string[], options: GitOptions): Promise<RunResult> {
  return runIn(place, "git", args, options);
}

/** Runs git and returns what it wrote. Throws GIT_FAILED. */
export async function git(place: GitPlace, args: readonly string[], options: GitOptions): Promise<Buffer> {
  const result = await tryGit(place, args, options);
  if (result.code !== 0) throw gitFailed(args, result);
  return result.stdout;
}

/** A shell script, with the name that it has in messages. */
export interface Script {
  name: string;
  text: string;
}

/** Runs a script of the same place: as its identity, with its environment. Throws GIT_FAILED. */
export async function shell(
  place: GitPlace,
  script: Script,
  args: readonly string[],
  options: GitOptions,
): Promise<Buffer> {
  const result = await runIn(place, "sh", ["-c", script.text, "sh", ...args], options);
  if (result.code !== 0) throw gitFailed([script.name], result);
  return result.stdout;
}

/** Runs any command as the place's identity, with its environment. */
export function runIn(
  place: GitPlace,
  command: string,
  args: readonly string[],
  options: GitOptions,
): Promise<RunResult> {
  const { identity } = place;
  // Readable by all: the session's user reads what the base's user wrote. The agent's own umask is 077.
  const child = { identity, env: gitEnvironment(place), umask: "022", oomScoreAdjust: GIT_OOM_SCORE_ADJUST };
  return run(command, args, { ...child, ...options });
}

/** Returns the error for a git command that ended badly. What git said is in the message, for people only. */
export function gitFailed(args: readonly string[], result: RunResult): AppError {
  const ended = result.signal === undefined ? `exit code ${result.code}` : `signal ${result.signal}`;
  const said = lastLine(result.stderr);
  const message = `git ${args[0] ?? ""} failed (${ended})${said === "" ? "." : `: ${said}`}`;
  return new AppError("GIT_FAILED", message, { metadata: { command: args[0] ?? "", ended, said } });
}

/** Returns the last line that says something, without control characters. */
export function lastLine(text: string): string {
  const lines = text.split(/[\r\n]+/).map((line) => line.replace(/[\x00-\x1f\x7f]/g, " ").trim());
  return cutChars(lines.findLast((line) => line !== "") ?? "", 500);
}
