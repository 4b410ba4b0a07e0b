import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { AppError, lastChars } from "../../proto/index.ts";
import type { Identity } from "./identity.ts";

/** Time between TERM and KILL for a command whose signal was aborted. */
const KILL_AFTER_MS = 2000;
/** The paths of a million files or two. */
const DEFAULT_MAX_OUTPUT_BYTES = 256 * 1024 * 1024;
/** Enough to say why a command failed. The end is kept: that is where the reason stands. */
const MAX_STDERR_CHARS = 32 * 1024;

/**
 * Runs in the child once it has its identity. Node changes the directory before it changes the user, and the agent
 * (uid 0 without DAC_OVERRIDE) may not enter other users' directories; Node cannot set a umask for a child at all.
 */
const PRELUDE =
  '[ -z "$1" ] || umask "$1"; [ -z "$2" ] || { echo "$2" > /proc/self/oom_score_adj; } 2>/dev/null; ' +
  '[ -z "$3" ] || cd -- "$3" || exit 126; shift 3; exec "$@"';

/** User and surroundings of a child process. */
export interface SpawnOptions {
  /** User to run as. Default: the agent's own. */
  identity?: Identity | undefined;
  /** Directory that the child enters as its identity. Default: the root directory. */
  cwd?: string;
  /** Environment variables, all of them: nothing is inherited. */
  env: Record<string, string>;
  /** Umask such as "022". Default: the agent's own. */
  umask?: string;
  /**
   * Value for /proc/PID/oom_score_adj, 0 to 1000: the larger, the sooner the kernel kills the child when memory runs
   * out. Default: the agent's own.
   */
  oomScoreAdjust?: number;
}

/**
 * Options of what runs for the session: the agent's own umask is stricter than what programs expect of their files, and
 * when memory runs out they are the first to go, since the agent must outlive them to say so.
 */
export const AS_SESSION = { umask: "022", oomScoreAdjust: 900 };

/**
 * Starts a child that leads a process group of its own, without the agent's groups, privileges and variables. The
 * caller ends it with `signalGroup`.
 *
 * With cwd, umask or oomScoreAdjust a command that does not exist exits with 127, and a directory that cannot be
 * entered with 126. Otherwise the child emits an error.
 */
export function spawnAs(
  command: string,
  args: readonly string[],
  options: SpawnOptions & { stdio?: StdioOptions },
): ChildProcess {
  const { identity, cwd, umask, oomScoreAdjust } = options;
  const prelude = cwd !== undefined || umask !== undefined || oomScoreAdjust !== undefined;
  const facts = [umask ?? "", oomScoreAdjust === undefined ? "" : String(oomScoreAdjust), cwd ?? ""];
  const [file, argv] = prelude ? ["/bin/sh", ["-c", PRELUDE, "sh", ...facts, command, ...args]] : [command, args];
  // With uid and gid libuv also drops the supplementary groups, in the child and before it changes the user.
  return spawn(file, argv, {
    ...(identity === undefined ? {} : { uid: identity.uid, gid: identity.gid }),
    cwd: "/",
    env: options.env,
    stdio: options.stdio ?? "pipe",
    detached: true,
  });
}

/** Sends a signal to the child's whole process group. Returns false if no process of it is left. */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): boolean {
  if (child.pid === undefined) return false;
  try {
    process.kill(-child.pid, signal);
    return true;
  } catch {
    return false; // ESRCH: the group is empty.
  }
}

/** Input and limits of a command. */
export interface RunOptions extends SpawnOptions {
  /** Input of the command. Default: none. */
  input?: Uint8Array | string;
  /** Signal that ends the command. */
  signal: AbortSignal;
  /** Most bytes of its output. Default: 256 MiB. */
  maxOutputBytes?: number;
  /** Takes the error output while it comes. */
  onStderr?: (chunk: string) => void;
}

/** End of a command, and its output. */
export interface RunResult {
  /** Exit code. Undefined: a signal ended it. */
  code: number | undefined;
  /** Signal that ended it. Undefined: it exited. */
  signal: string | undefined;
  stdout: Buffer;
  /** Last 32 Ki characters of the error output. */
  stderr: string;
}

/**
 * Runs a command to its end and returns how it ended. When the signal aborts, its process group gets TERM, and KILL two
 * seconds later; then the promise rejects with the signal's reason. Throws OUTPUT_TOO_LARGE, COMMAND_NOT_STARTED.
 */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  const { signal } = options;
  signal.throwIfAborted();
  const child = spawnAs(command, args, options);
  const maxOutputBytes = options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
  const chunks: Buffer[] = [];
  let size = 0;
  let stderr = "";
  let failure: { error: unknown } | undefined;
  let killTimer: NodeJS.Timeout | undefined;

  const fail = (error: unknown, first: NodeJS.Signals): void => {
    if (failure !== undefined) return;
    failure = { error };
    signalGroup(child, first);
    killTimer = setTimeout(() => {
      signalGroup(child, "SIGKILL");
      // Whoever left the group may hold the pipes open for ever.
      child.stdout?.destroy();
      child.stderr?.destroy();
    }, KILL_AFTER_MS);
  };
  const onAbort = (): void => fail(signal.reason, "SIGTERM");
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await new Promise<RunResult>((resolve, reject) => {
      child.on("error", (cause) => {
        if (child.pid === undefined) reject(notStarted(command, cause));
      });
      child.stdout?.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size <= maxOutputBytes) chunks.push(chunk);
        else fail(outputTooLarge(command, args, maxOutputBytes), "SIGKILL");
      });
      child.stderr?.setEncoding("utf8");
      child.stderr?.on("data", (chunk: string) => {
        stderr = lastChars(stderr + chunk, MAX_STDERR_CHARS);
        options.onStderr?.(chunk);
      });
      // A command need not read its input: EPIPE is its business, and shows in how it ends.
      child.stdin?.on("error", () => undefined);
      child.stdin?.end(options.input);
      child.on("close", (code, endedBy) => {
        if (failure === undefined) {
          resolve({ code: code ?? undefined, signal: endedBy ?? undefined, stdout: Buffer.concat(chunks), stderr });
        } else {
          reject(failure.error as Error);
        }
      });
    });
  } finally {
    clearTimeout(killTimer);
    signal.removeEventListener("abort", onAbort);
  }
}

function notStarted(command: string, cause: Error): AppError {
  const message = `Could not start ${command}: ${cause.message}. Check that it is in the image.`;
  return new AppError("COMMAND_NOT_STARTED", message, { cause, metadata: { command } });
}

function outputTooLarge(command: string, args: readonly string[], limit: number): AppError {
  const what = `${command} ${args[0] ?? ""}`.trim();
  return new AppError("OUTPUT_TOO_LARGE", `${what} wrote more than ${limit} bytes.`, {
    metadata: { command: what, limit_bytes: String(limit) },
  });
}
