import { type Command, InvalidArgumentError, Option } from "commander";
import { readFileSync } from "node:fs";
import {
  AppError,
  cutChars,
  MAX_ATTEMPTS,
  PERMISSION_MODES,
  type RepositorySpec,
  type UserFiles,
} from "../../proto/index.ts";
import {
  DECISION_POLICY_NAMES,
  type DecisionPolicyName,
  EGRESS_NAMES,
  type EgressName,
  MAX_DESTINATIONS,
  toCreateRequest,
} from "../session/request-parts.ts";
import type { CreateSessionRequest } from "../session/sessions.ts";
import { NO_REPOSITORY } from "../source/address-source.ts";
import { readProblem } from "../file-problem.ts";
import type { RepositoryWish } from "../source/repository-source.ts";

/** Flags of `run`, as the command line gives them. Undefined: not given. */
export interface RunFlags {
  /** Repository of the session. False: none. */
  repository?: string | false;
  ref?: string;
  include?: string[];
  worktreeInclude?: boolean;
  history?: number | "all";
  model?: string;
  timeout?: number;
  idleTimeout?: number;
  decisionTimeout?: number;
  permissionMode?: string;
  image?: string;
  memory?: string;
  cpus?: number;
  maxSteps?: number;
  egress?: EgressName;
  allow?: string[];
  maxCost?: number;
  maxTokens?: number;
  maxRequests?: number;
  loadProjectSettings?: boolean;
  /** Id of the session to go on with, or its start or end. */
  continue?: string;
  /** Id of the session to start after, or its start or end. */
  after?: string;
  setup?: string;
  setupTimeout?: number;
  check?: string;
  checkTimeout?: number;
  /** JSON Schema, as JSON. */
  jsonSchema?: string;
  decisionPolicy?: DecisionPolicyName;
  /** Names of the user's own files. False: none. */
  userFile?: string[] | false;
  attempts?: number;
  env?: Record<string, string>;
  detach?: boolean;
  json?: boolean;
}

const MAX_INT32 = 0x7fffffff;

/** Adds the flags of `run` to a command. A value that is out of range is refused with the flag's name. */
export function addRunFlags(command: Command): Command {
  return command
    .option("-d, --detach", "print the session's id and leave it to itself")
    .option(
      "-r, --repository <path|url>",
      "directory that goes in as it lies there, or address to clone (default: the repository that you are in)",
    )
    .option("--no-repository", "start with an empty workspace")
    .option("--ref <ref>", "of an address: branch, tag or full commit id")
    .option("--include <path>", "of a directory: a file that goes in although git ignores it; may be repeated", gather)
    .option("--worktree-include", "of a directory: ignored files that its .worktreeinclude matches go in")
    .option("--history <count|all>", "commits of history that are to be there (default: 1)", history)
    .option("-m, --model <model>", "model name or alias")
    .option("-t, --timeout <seconds>", "time for the session (default: 300)", number)
    .option("--idle-timeout <seconds>", "how long it takes further messages after a turn (default: 0)", number)
    .option("--decision-timeout <seconds>", "how long it waits for a permission or an answer (default: 600)", number)
    .addOption(
      new Option(
        "--decision-policy <who>",
        "who decides: a person, or the calling program (default: a person where one can be asked)",
      ).choices(DECISION_POLICY_NAMES),
    )
    .addOption(
      new Option("--permission-mode <mode>", "Claude Code's permission mode (default: bypassPermissions)").choices(
        PERMISSION_MODES,
      ),
    )
    .option("--image <image>", "image with the agent")
    .option("--memory <size>", 'memory limit (default: "2g")')
    .option("--cpus <count>", "CPU limit (default: 2, or as many as the engine has)", number)
    .option("--max-steps <count>", "most model steps", count(MAX_INT32))
    .addOption(
      new Option("--egress <mode>", "what the container may connect to (default: what the host is set to)").choices(
        EGRESS_NAMES,
      ),
    )
    .option("--allow <host[:port]>", "one more destination, at port 443 if none is given; may be repeated", collect)
    .option("--max-cost <usd>", "most that it may cost, in USD from list prices", amount)
    .option("--max-tokens <count>", "most tokens, sent and received", count(Number.MAX_SAFE_INTEGER))
    .option("--max-requests <count>", "most model requests", count(MAX_INT32))
    .option("--load-project-settings", "load the repository's own settings, hooks and MCP servers for Claude Code")
    .option(
      "--user-file <name>",
      "of your own set-up for Claude Code, what counts in there too: CLAUDE.md, skills/<name>, agents, …; may be repeated",
      gather,
    )
    .option("--no-user-file", "none of it, whatever is configured")
    .option(
      "--continue <session>",
      "go on with a finished session (its id, or start or end): its changes and its conversation",
    )
    .addOption(
      new Option(
        "--after <session>",
        "start from a session's changes once it has succeeded (its id, or start or end), in a conversation of its own",
      ).conflicts("continue"),
    )
    .option("--setup <command>", 'prepare the workspace before Claude starts, such as "npm ci"; "" for no command')
    .option("--setup-timeout <seconds>", "time for that (default: 600)", number)
    .option(
      "--check <command>",
      'judge the result in the container, such as "npm test"; the changes stay what they are',
    )
    .option("--check-timeout <seconds>", "time for that (default: 600)", number)
    .option("--json-schema <file|json>", "JSON Schema of an object that is to be Claude's answer, checked", schemaText)
    .option("--attempts <count>", "so many sessions of the same task, compared side by side at the end", attempts)
    .option("-e, --env <name=value>", "variable for Claude's environment; may be repeated", collectVariable)
    .option("--json", "print the result as JSON");
}

/** Returns the repository that the flags of `run` ask for. */
export function toRepositoryWish({
  repository,
  ref,
  include,
  worktreeInclude,
  history,
  userFile,
  ...flags
}: RunFlags): RepositoryWish {
  return {
    repository: repository === false ? NO_REPOSITORY : repository,
    ref,
    include,
    worktreeInclude,
    history,
    userFiles: userFile === false ? [] : userFile,
    continues: flags.continue !== undefined || flags.after !== undefined,
  };
}

/**
 * Returns the request that a task and its flags make; the ids are whole, of the session to go on with and of that to start
 * after, empty for none. Throws MEMORY_INVALID, TIMEOUT_INVALID, COMMAND_INVALID.
 */
export function toRunRequest(
  task: string,
  flags: RunFlags,
  others: {
    previousSessionId: string;
    afterSessionId: string;
    repository: RepositorySpec | undefined;
    userFiles?: UserFiles | undefined;
    traceParent?: string | undefined;
  },
): CreateSessionRequest {
  return toCreateRequest({
    ...flags,
    ...others,
    task,
    environment: flags.env,
    allowedDestinations: flags.allow,
  });
}

function number(given: string): number {
  const value = given.trim() === "" ? NaN : Number(given);
  if (!Number.isFinite(value)) throw new InvalidArgumentError("It must be a number.");
  return value;
}

/** A schema as it is, or what the file of that name holds. The host says whether it is one. */
function schemaText(given: string): string {
  if (given.trim().startsWith("{")) return given;
  try {
    return readFileSync(given, "utf8");
  } catch (error) {
    throw new InvalidArgumentError(`It must be JSON or a file that can be read: ${readProblem(error)}.`);
  }
}

function amount(given: string): number {
  const value = number(given);
  if (value <= 0) throw new InvalidArgumentError("It must be above 0.");
  return value;
}

function count(max: number): (given: string) => number {
  return (given) => {
    const value = number(given);
    if (!Number.isInteger(value) || value < 1 || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from 1 to ${max}.`);
    }
    return value;
  };
}

function attempts(given: string): number {
  return count(MAX_ATTEMPTS)(given);
}

/** Of a flag that was denied before, the value is false. */
function gather(entry: string, known: string[] | boolean = []): string[] {
  return [...(typeof known === "boolean" ? [] : known), entry];
}

function history(given: string): number | "all" {
  return given === "all" ? given : count(MAX_INT32)(given);
}

function collect(entry: string, known: string[] = []): string[] {
  if (known.length === MAX_DESTINATIONS) throw new InvalidArgumentError(`There may be ${MAX_DESTINATIONS} of them.`);
  return [...known, entry];
}

function collectVariable(entry: string, known: Record<string, string> = {}): Record<string, string> {
  const equals = entry.indexOf("=");
  if (equals < 1) {
    throw new AppError("ENVIRONMENT_INVALID", `"${cutChars(entry, 40)}" is not NAME=VALUE.`);
  }
  return { ...known, [entry.slice(0, equals)]: entry.slice(equals + 1) };
}
