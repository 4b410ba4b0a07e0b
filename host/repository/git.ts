import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { constants, setPriority } from "node:os";
import { pipeline } from "node:stream/promises";
import { AppError, gitFailed, lastChars } from "../../proto/index.ts";

/** The paths of a million files or two. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;
/** Enough to say why a command failed. The end is kept: that is where the reason stands. */
const MAX_STDERR_CHARS = 32 * 1024;
/** Time between TERM and KILL for a git whose signal was aborted. */
const KILL_AFTER_MS = 2000;

/** Returns whether a text has the form of an object's whole id, of either kind. */
export function isObjectId(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

/** What a git, and the filters that it starts, get of this process's environment. */
const INHERITED = ["PATH", "HOME", "XDG_CONFIG_HOME", "USER", "LOGNAME", "TMPDIR", "GNUPGHOME"];
/** The same where the user's settings count: where these lie, and how far up a repository is looked for. */
export const GIT_SETTINGS = [
  "GIT_CONFIG_GLOBAL",
  "GIT_CONFIG_SYSTEM",
  "GIT_CONFIG_NOSYSTEM",
  "GIT_CEILING_DIRECTORIES",
  "GIT_DISCOVERY_ACROSS_FILESYSTEM",
];
const NO_SETTINGS = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1", GIT_ATTR_NOSYSTEM: "1" };

/** Nothing is run, fetched, repacked, refused or written beside an index on the side. */
const CONFIG = {
  "core.splitIndex": "false",
  "core.hooksPath": "/dev/null",
  "core.fsmonitor": "false",
  "core.safecrlf": "false",
  "gc.auto": "0",
  "maintenance.auto": "false",
  "protocol.allow": "never",
  "safe.bareRepository": "explicit",
  "advice.detachedHead": "false",
};

/** Place where a git command works, and whose settings count there. */
export interface GitPlace {
  /**
   * "user": what the user has configured counts, as for a git that they run themselves. "none": nothing but what the
   * repository's own config says, as for a repository of ours.
   */
  settings: "user" | "none";
  /** Default: the root directory. */
  cwd?: string | undefined;
  /** Default: looked for from cwd upwards, with git's own check of who owns it. */
  gitDirectory?: string | undefined;
  /** Directory of what linked work trees share. Default: the git directory says it. */
  commonDirectory?: string | undefined;
  workTree?: string | undefined;
  indexFile?: string | undefined;
  /** Directory that objects are written to. Default: the repository's own. */
  objectDirectory?: string | undefined;
  /** Object directories that are only read, with what they borrow from in turn. */
  alternates?: readonly string[] | undefined;
  /** git may write down in the index what it has found unchanged. Default: false. */
  optionalLocks?: boolean | undefined;
  /** File that names the commits whose parents are not there. Default: the repository's own. */
  shallowFile?: string | undefined;
  /** Most bytes that git allocates at once. Default: no limit. */
  maxAllocationBytes?: number | undefined;
  /**
   * True: git may reach other machines as the user's own git would, with their keys and helpers: it gets their whole
   * environment but for what names a repository. It asks nobody. Default: false.
   */
  network?: boolean | undefined;
  /** Configuration on top of everything. */
  config?: Readonly<Record<string, string>> | undefined;
}

/** Options of a git command that is waited for. */
export interface GitOptions {
  /** Ends git: with TERM, and after 2 seconds with KILL. */
  signal: AbortSignal;
  /** Standard input. What is iterable is read as git takes it, and its error ends git and is thrown. Default: empty. */
  input?: Uint8Array | string | AsyncIterable<Uint8Array>;
  /** Most bytes of standard output. Default: 256 MiB. */
  maxOutputBytes?: number;
  /** True: it leaves the processors to everybody else. Default: false. */
  background?: boolean;
}

/** Result of a git command that has ended, well or badly. */
export interface GitResult {
  /** Exit code. Undefined: a signal ended it. */
  code: number | undefined;
  /** Name of the signal that ended it. Undefined: it exited. */
  signal: string | undefined;
  stdout: Buffer;
  /** Last 32,768 characters of standard error. */
  stderr: string;
}

/** Of git's own variables, those that say how other machines are reached. */
const NETWORK = /^(?!GIT_)|^GIT_(ASKPASS|HTTP|SSH|SSL)/;

/** Returns the whole environment of a git command: no hook, no fsmonitor, no prompt, no network, no lock that is not needed. */
function gitEnvironment(place: GitPlace): Record<string, string> {
  const user = place.settings === "user";
  const { "protocol.allow": closed, ...open } = CONFIG;
  const network = place.network === true;
  const config = Object.entries({ ...open, ...(!network && { "protocol.allow": closed }), ...place.config });
  const inherited = network ? Object.keys(process.env).filter((name) => NETWORK.test(name)) : INHERITED;
  const given: Record<string, string | undefined> = {
    ...Object.fromEntries([...inherited, ...(user ? GIT_SETTINGS : [])].map((name) => [name, process.env[name]])),
    ...(user ? {} : NO_SETTINGS),
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
    GIT_OPTIONAL_LOCKS: place.optionalLocks === true ? "1" : "0",
    GIT_NO_LAZY_FETCH: "1",
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_CONFIG_COUNT: String(config.length),
    GIT_DIR: place.gitDirectory,
    GIT_COMMON_DIR: place.commonDirectory,
    GIT_WORK_TREE: place.workTree,
    GIT_INDEX_FILE: place.indexFile,
    GIT_OBJECT_DIRECTORY: place.objectDirectory,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: place.alternates?.map(quoteDirectory).join(":"),
    GIT_SHALLOW_FILE: place.shallowFile,
    GIT_ALLOC_LIMIT: place.maxAllocationBytes?.toString(),
  };
  config.forEach(([key, value], index) => {
    given[`GIT_CONFIG_KEY_${index}`] = key;
    given[`GIT_CONFIG_VALUE_${index}`] = value;
  });
  return Object.fromEntries(Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** As git reads the paths of a list that colons separate. */
function quoteDirectory(path: string): string {
  return /[:"]/.test(path) ? `"${path.replace(/["\\]/g, "\\$&")}"` : path;
}

/** Starts git and returns the child. It leads its own process group. The caller ends it, with `endGit`. */
function startGit(place: GitPlace, args: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn("git", args, { cwd: place.cwd ?? "/", env: gitEnvironment(place), detached: true });
}

/** Ends a git and what it has started: the signal goes to its process group. Nothing happens if it has ended already. */
function endGit(child: ChildProcessWithoutNullStreams, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // ESRCH: the group is empty.
  }
}

/**
 * Runs git and returns how it ended, whatever that is. When the signal aborts, the promise rejects with its reason once
 * git is gone. Throws GIT_NOT_FOUND, and OUTPUT_TOO_LARGE above maxOutputBytes.
 */
export async function tryGit(place: GitPlace, args: readonly string[], options: GitOptions): Promise<GitResult> {
  const { signal, maxOutputBytes = MAX_OUTPUT_BYTES, background = false } = options;
  signal.throwIfAborted();
  const child = startGit(place, args);
  if (background && child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  const chunks: Buffer[] = [];
  let size = 0;
  let stderr = "";
  let failure: { error: unknown } | undefined;
  let killTimer: NodeJS.Timeout | undefined;
  const fail = (error: unknown): void => {
    if (failure !== undefined) return;
    failure = { error };
    endGit(child, "SIGTERM");
    killTimer = setTimeout(() => {
      endGit(child, "SIGKILL");
      // Whoever left the group may hold the pipes open for ever.
      child.stdout.destroy();
      child.stderr.destroy();
    }, KILL_AFTER_MS);
  };
  const onAbort = (): void => fail(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await new Promise<GitResult>((resolve, reject) => {
      child.on("error", (cause) => {
        if (child.pid === undefined) reject(notStarted(place, cause));
      });
      child.stdout.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size <= maxOutputBytes) chunks.push(chunk);
        else fail(outputTooLarge(args, maxOutputBytes));
      });
      child.stderr.setEncoding("utf8");
      child.stderr.on("data", (chunk: string) => {
        stderr = lastChars(stderr + chunk, MAX_STDERR_CHARS);
      });
      // git need not read its input: EPIPE shows in how it ends.
      child.stdin.on("error", () => undefined);
      const { input } = options;
      if (typeof input === "string" || input instanceof Uint8Array) child.stdin.end(input);
      else void pipeline(failing(input ?? [], fail), child.stdin).catch(() => undefined);
      child.on("close", (code, endedBy) => {
        if (failure !== undefined) reject(failure.error as Error);
        else resolve({ code: code ?? undefined, signal: endedBy ?? undefined, stdout: Buffer.concat(chunks), stderr });
      });
    });
  } finally {
    clearTimeout(killTimer);
    signal.removeEventListener("abort", onAbort);
  }
}

/** Yields what an iterable yields. What it throws is also passed to `fail`. */
async function* failing<T>(source: AsyncIterable<T> | Iterable<T>, fail: (error: unknown) => void): AsyncGenerator<T> {
  try {
    yield* source;
  } catch (error) {
    fail(error);
    throw error;
  }
}

/**
 * Runs git and yields what it writes, as fast as it is read. Leaving the loop, or an abort, ends it. Throws GIT_FAILED, the
 * signal's reason and GIT_NOT_FOUND.
 */
export async function* readGit(
  place: GitPlace,
  args: readonly string[],
  { signal, input }: { signal: AbortSignal; input: string },
): AsyncGenerator<Buffer, undefined> {
  signal.throwIfAborted();
  const child = startGit(place, args);
  const closed = new Promise<number | undefined>((resolve, reject) => {
    child
      .once("error", (cause) => reject(notStarted(place, cause)))
      .once("close", (code) => resolve(code ?? undefined));
  });
  closed.catch(() => undefined);
  const end = (): void => endGit(child, "SIGKILL");
  signal.addEventListener("abort", end, { once: true });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr = lastChars(stderr + chunk, MAX_STDERR_CHARS);
  });
  child.stdin.on("error", () => undefined).end(input);
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const code = await closed;
    signal.throwIfAborted();
    if (code !== 0) throw gitFailed(args, { code, signal: child.signalCode ?? undefined, stderr });
  } finally {
    signal.removeEventListener("abort", end);
    end();
  }
}

/** Runs git and returns what it wrote. Throws GIT_FAILED, and what `tryGit` throws. */
export async function git(place: GitPlace, args: readonly string[], options: GitOptions): Promise<Buffer> {
  const result = await tryGit(place, args, options);
  if (result.code !== 0) throw gitFailed(args, result);
  return result.stdout;
}

/** Runs git and returns the one line that it wrote, without its end. Throws as `git`. */
export async function gitLine(place: GitPlace, args: readonly string[], options: GitOptions): Promise<string> {
  return (await git(place, args, options)).toString().replace(/\n$/, "");
}

function notStarted(place: GitPlace, cause: Error): AppError {
  const { code, syscall } = cause as NodeJS.ErrnoException;
  const why = code === "ENOENT" ? "there is no git on this machine's PATH, or no such directory" : cause.message;
  return new AppError("GIT_NOT_FOUND", `Could not start git in ${place.cwd ?? "/"}: ${why}.`, {
    help: "Install git 2.39.1 or newer.",
    metadata: { call: syscall ?? "" },
    cause,
  });
}

function outputTooLarge(args: readonly string[], limit: number): AppError {
  const what = `git ${args[0] ?? ""}`;
  return new AppError("OUTPUT_TOO_LARGE", `${what} wrote more than ${limit} bytes.`, {
    metadata: { command: what, limit_bytes: String(limit) },
  });
}
