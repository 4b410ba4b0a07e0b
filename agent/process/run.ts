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

export interface SpawnOptions {
  identity?: Identity | undefined;
  /** The directory that the child enters as its identity. Default: the root directory. */
  cwd?: string;
  /** The whole environment: nothing is inherited. */
  env: Record<string, string>;
  /** Such as "022". Default: the agent's own. */
  umask?: string;
  /** How much sooner than the agent the kernel is to kill the child when memory runs out, 0 to 1000. */
  oomScoreAdjust?: number;
}

/**
 * Starts a child that leads its own process group, without any of our groups, privileges or variables. The caller
 * ends it, with `signalGroup`. With cwd, umask or oomScoreAdjust a command that does not exist shows as exit code
 * 127 (126 for the directory), otherwise as the child's error event.
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

/** Sends a signal to the child and to everything in its process group. Returns false if nothing is left of it. */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): boolean {
  if (child.pid === undefined) return false;
  try {
    process.kill(-child.pid, signal);
    return true;
  } catch {
    return false; // ESRCH: the group is empty.
  }
}

export interface RunOptions extends SpawnOptions {
  input?: Uint8Array | string;
  signal: AbortSignal;
  maxOutputBytes?: number;
  onStderr?: (chunk: string) => void;
}

export interface RunResult {
  /** Undefined if a signal ended it. */
  code: number | undefined;
  /** Undefined if it exited. */
  signal: string | undefined;
  stdout: Buffer;
  /** The last part, if it was long. */
  stderr: string;
}

/**
 * Runs a command to its end and returns how it ended. When the signal aborts, the process group gets TERM, KILL two
 * seconds later, and the promise rejects with the signal's reason once the command is gone. Throws OUTPUT_TOO_LARGE
 * above maxOutputBytes, COMMAND_NOT_STARTED if there is no such command.
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
