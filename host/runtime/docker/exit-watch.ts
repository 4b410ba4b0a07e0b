import type { ContainerExit } from "../runtime.ts";
import { rest } from "../../sleep.ts";
import { statusOf } from "./engine-error.ts";
import type { Engine } from "./engine.ts";
import { lastLines } from "./log-lines.ts";

const LOG_LINES = 20;
/** 128 and the number of SIGKILL. */
const KILLED_CODE = 137;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Resolves once with how a container ended, even if it ended before. It survives a loss of the engine, and waits again.
 * Never rejects. After an abort it stays pending.
 */
export async function watchExit(engine: Engine, id: string, signal: AbortSignal): Promise<ContainerExit> {
  let lost = false;
  for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      if (lost) {
        const ended = await readExit(engine, id, signal, undefined);
        if (ended !== undefined) return ended.cause === "removed" ? ended : { ...ended, cause: "runtimeLost" };
        lost = false;
      }
      const { exitCode } = await engine.waitContainer(id, { signal });
      const exit = await readExit(engine, id, signal, exitCode);
      if (exit !== undefined) return exit;
    } catch (error) {
      if (signal.aborted) return await new Promise<never>(() => {});
      if (statusOf(error) === 404) return removed(undefined);
      // Only without an answer; it may come back with the container ended by its own restart.
      lost ||= statusOf(error) === undefined;
    }
    await rest(pauseMs, signal); // An abort is seen by the next call.
  }
}

/** Undefined if it runs. */
async function readExit(
  engine: Engine,
  id: string,
  signal: AbortSignal,
  waitedCode: number | undefined,
): Promise<ContainerExit | undefined> {
  try {
    const { State: state } = await engine.inspectContainer(id, { signal });
    if (state.Running) return undefined;
    return {
      cause: causeOf(state),
      exitCode: state.Status === "created" ? undefined : state.ExitCode,
      lastLogLines: await readLastLines(engine, id, signal),
    };
  } catch (error) {
    if (statusOf(error) === 404) return removed(waitedCode);
    throw error;
  }
}

/** The engine's flag says that something was killed for want of memory, the code that it was the agent. */
function causeOf({ ExitCode, OOMKilled }: { ExitCode: number; OOMKilled: boolean }): ContainerExit["cause"] {
  if (ExitCode !== KILLED_CODE) return "exited";
  return OOMKilled ? "outOfMemory" : "killed";
}

async function readLastLines(engine: Engine, id: string, signal: AbortSignal): Promise<string[]> {
  try {
    return lastLines(await engine.readLog(id, { tail: LOG_LINES, signal }), LOG_LINES);
  } catch (error) {
    if (signal.aborted) throw error;
    return []; // The end itself is known, and that must be told.
  }
}

function removed(exitCode: number | undefined): ContainerExit {
  return { cause: "removed", exitCode, lastLogLines: [] };
}
