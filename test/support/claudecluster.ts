import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import type { TestDirectories } from "./host-directories.ts";
import { CLAUDECLUSTER } from "./mcp-client.ts";

/** What a command came to. */
export interface CommandOutcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end, with the host of these directories, by default in no repository. */
export async function claudecluster(
  { env, root }: TestDirectories,
  args: readonly string[],
  options: { env?: Record<string, string>; input?: string; cwd?: string } = {},
): Promise<CommandOutcome> {
  const child = spawn(process.execPath, [CLAUDECLUSTER, ...args], {
    env: { ...env, ...options.env },
    cwd: options.cwd ?? root,
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  const exit = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
  return { code, stdout, stderr };
}

/** `claudecluster dial` on a running session. */
export interface Dial extends AsyncDisposable {
  /** The path of the socket that it offers. */
  socket: string;
  /** What it has written to its standard error. */
  stderr(): string;
  /** Its exit code; null where a signal ended it. */
  readonly closed: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts `claudecluster dial` and waits for its socket. */
export async function startDial(sessionId: string, { env, root }: TestDirectories): Promise<Dial> {
  const child = spawn(process.execPath, [CLAUDECLUSTER, "dial", sessionId], {
    // Its socket goes with the test's directories, even where it is killed.
    env: { ...env, XDG_RUNTIME_DIR: root },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = once(child, "close").then(([code]) => code as number | null);
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
  const [socket] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return {
    socket,
    stderr: () => stderr,
    closed,
    kill: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill("SIGTERM");
      await closed;
    },
  };
}
