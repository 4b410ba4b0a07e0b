import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { afterRunning, type CommandResult, CommandResultSchema } from "../../proto/index.ts";
import type { Timeouts } from "../timeouts.ts";
import { within } from "../wait.ts";
import { AS_SESSION, signalGroup, spawnAs, type SpawnOptions } from "./run.ts";

/** Command for the shell. */
export interface CommandOptions {
  command: string;
  /** Time that it may take, in milliseconds of this process's running time. */
  timeoutMs: number;
  cwd: string;
  /** Signal that ends it. */
  signal: AbortSignal;
  /** Takes its standard output and error, as they come. */
  onOutput(chunk: Buffer): void;
}

/**
 * Runs a command in a shell to its end, without input, and returns how it ended; its output is the caller's to keep. What it
 * leaves running goes on, and what that writes is read and dropped. When its time is over or the signal aborts, its process
 * group is ended; then, for the signal, the promise rejects with its reason.
 */
export async function runCommand(
  options: CommandOptions &
    Pick<SpawnOptions, "identity" | "env"> & { timeouts: Pick<Timeouts, "terminateMs" | "pipesMs"> },
): Promise<CommandResult> {
  const { command, timeoutMs, signal, onOutput, identity, cwd, env, timeouts } = options;
  signal.throwIfAborted();
  const startMs = performance.now();
  // One pipe for both, so that they stay in their order.
  const args = ["-c", 'exec /bin/sh -c "$1" 2>&1', "sh", command];
  const child = spawnAs("/bin/sh", args, {
    ...{ identity, cwd, env, ...AS_SESSION },
    stdio: ["ignore", "pipe", "ignore"],
  });
  let timedOut = false;
  let over = false;
  let killTimer: NodeJS.Timeout | undefined;
  const end = (): void => {
    signalGroup(child, "SIGTERM");
    killTimer ??= setTimeout(() => signalGroup(child, "SIGKILL"), timeouts.terminateMs);
  };
  const forget = afterRunning(timeoutMs, () => {
    timedOut = true;
    end();
  });
  signal.addEventListener("abort", end, { once: true });
  const output = child.stdout!;
  output.on("data", (chunk: Buffer) => {
    if (!over) onOutput(chunk);
  });
  const read = once(output, "close").catch(() => {});
  try {
    const [code, endedBy] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
    if (timedOut || signal.aborted) signalGroup(child, "SIGKILL");
    await within(read, timeouts.pipesMs);
    signal.throwIfAborted();
    return create(CommandResultSchema, {
      ...(code !== null && !timedOut && { exitCode: code }),
      signal: endedBy ?? "",
      timedOut,
      elapsed: durationFromMs(Math.round(performance.now() - startMs)),
    });
  } finally {
    over = true;
    forget();
    clearTimeout(killTimer);
    signal.removeEventListener("abort", end);
  }
}
