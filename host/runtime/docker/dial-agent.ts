import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../../../proto/index.ts";
import { rest } from "../../sleep.ts";
import type { ContainerExit } from "../runtime.ts";
import { AgentStream } from "../agent-stream.ts";
import { engineError, statusOf } from "./engine-error.ts";
import type { Engine } from "./engine.ts";
import { BRIDGE } from "./exec-config.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { awaitMagic } from "./magic-line.ts";
import { printable } from "./printable.ts";

const ATTEMPT_MS = 15_000;
const POLL_MS = 200;
const LOOK_MS = 5_000;
/** A bridge dies with its container, some time before the engine says so. */
const DEATH_MS = 1_000;
const KEPT_STDERR_BYTES = 2_048;

/** Container to dial. */
export interface DialTarget {
  engine: Engine;
  id: string;
  exited: Promise<ContainerExit>;
}

/** Opens a stream to the agent in a container. Waits while the container is paused. */
export async function dialAgent(target: DialTarget, { signal }: { signal: AbortSignal }): Promise<Duplex> {
  for (let refusals = 0; ;) {
    signal.throwIfAborted();
    const failure = await attempt(target, signal);
    if (failure instanceof AgentStream) return failure;
    signal.throwIfAborted();
    const state = await look(target, signal);
    if (state === "gone") throw await containerExited(target);
    // "Running" after a refusal: it was unpaused meanwhile, or is about to be seen dead.
    const again = state === "paused" || (failure.refused && ++refusals <= 5);
    if (!again) throw await unreachable(target, failure);
    await rest(POLL_MS, signal); // An abort is seen at the top.
  }
}

interface Failure {
  /** The engine would not run the bridge: the container is paused or does not run. */
  refused: boolean;
  text: string;
  cause: unknown;
}

async function attempt({ engine, id }: DialTarget, outer: AbortSignal): Promise<AgentStream | Failure> {
  const signal = AbortSignal.any([outer, AbortSignal.timeout(ATTEMPT_MS)]);
  let stderr = Buffer.alloc(0);
  try {
    const carrier = await engine.startExec(await engine.createExec(id, BRIDGE, { signal }), { signal });
    const decoder = new FrameDecoder();
    const stream = new AgentStream(carrier, (chunk) => {
      const pieces = decoder.decode(chunk);
      for (const { source, bytes } of pieces) {
        if (source === "stderr") stderr = Buffer.concat([stderr, bytes]).subarray(-KEPT_STDERR_BYTES);
      }
      return pieces.filter(({ source }) => source === "stdout").map(({ bytes }) => bytes);
    });
    const instead = await awaitMagic(stream, { signal });
    if (instead === undefined) return stream;
    return { refused: false, text: `${stderr.toString()}${instead}`, cause: undefined };
  } catch (cause) {
    const status = statusOf(cause);
    if (status === 404 || status === 409) return { refused: true, text: "", cause };
    if (signal.aborted) return { refused: false, text: "it did not answer in time", cause };
    const { message } = engineError(cause, { reason: "AGENT_UNREACHABLE", what: "the engine refused" });
    return { refused: false, text: message, cause };
  }
}

async function look({ engine, id }: DialTarget, signal: AbortSignal): Promise<"running" | "paused" | "gone"> {
  try {
    const look = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]);
    const { State: state } = await engine.inspectContainer(id, { signal: look });
    if (!state.Running) return "gone";
    return state.Paused ? "paused" : "running";
  } catch (error) {
    if (signal.aborted) throw error;
    return statusOf(error) === 404 ? "gone" : "running";
  }
}

async function unreachable(target: DialTarget, { text, cause }: Failure): Promise<AppError> {
  const exit = await Promise.race([target.exited, sleep(DEATH_MS, undefined, { ref: false })]);
  if (exit !== undefined) return await containerExited(target);
  const why = printable(text, 500) || "the bridge ended without a word";
  return new AppError(
    "AGENT_UNREACHABLE",
    `The agent in container ${target.id.slice(0, 12)} cannot be reached: ${why}`,
    {
      metadata: { container: target.id },
      retryable: true,
      help: "The image must hold the agent and dial-stdio: build it with `claudecluster image`.",
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

const WHY: Partial<Record<ContainerExit["cause"], string>> = {
  outOfMemory: " after running out of memory",
  removed: " and was removed",
};

async function containerExited({ id, exited }: DialTarget): Promise<AppError> {
  const exit = await Promise.race([exited, sleep(DEATH_MS, undefined, { ref: false })]);
  const code = exit?.exitCode === undefined ? "" : ` with code ${exit.exitCode}`;
  const why = WHY[exit?.cause ?? "exited"] ?? "";
  return new AppError("CONTAINER_EXITED", `The container ${id.slice(0, 12)} has ended${code}${why}.`, {
    metadata: { container: id, ...(exit?.exitCode === undefined ? {} : { exitCode: String(exit.exitCode) }) },
    help: "A container that has ended does not come back: continue the session in a new one.",
  });
}
