import { addAbortSignal } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { AppError, asAppError } from "../../proto/index.ts";
import type { Container } from "../runtime/runtime.ts";
import { TIMEOUTS } from "./timeouts.ts";

/** Carries bytes to the agent in a container and yields those that come back. See Sessions.dial. */
export async function* carryBytes(
  container: Container,
  bytes: AsyncIterable<Uint8Array>,
  { signal }: { signal: AbortSignal },
): AsyncGenerator<Uint8Array, undefined> {
  const agent = addAbortSignal(signal, await container.dial({ signal }));
  // Where it fails it destroys the stream, whose reader is told.
  const sending = pipeline(bytes, agent, { signal });
  sending.catch(() => {});
  try {
    for await (const chunk of agent as AsyncIterable<Uint8Array>) yield chunk;
    await sending;
  } catch (error) {
    signal.throwIfAborted();
    throw (await hasExited(container, error)) ? containerExited(container, error) : error;
  }
}

/** The container's end is the cause, the lost connection only its sign. */
async function hasExited(container: Container, error: unknown): Promise<boolean> {
  if (asAppError(error).reason !== "CONNECTION_LOST") return false;
  return await Promise.race([container.exited.then(() => true), delay(TIMEOUTS.exitNoticeMs, false)]);
}

function containerExited({ ref: { id } }: Container, cause: unknown): AppError {
  return new AppError("CONTAINER_EXITED", `The container ${id.slice(0, 12)} has ended.`, {
    metadata: { container: id },
    help: "`claudecluster show` says how its session ended.",
    cause,
  });
}
