import { AppError } from "../../../proto/index.ts";
import { rest } from "../../sleep.ts";
import { engineError, statusOf } from "./engine-error.ts";
import type { Engine } from "./engine.ts";

const REMOVE_MS = 10_000;
/** An engine needs milliseconds for a create, and seconds when many start at once. */
const APPEAR_MS = 5_000;
const POLL_MS = 100;

/**
 * Kills and removes a container, by id or name, with its volumes. Resolves once it is gone, or was not there.
 * `mayAppear`: a create may still be under way, so it is looked for again for a while. Tries for 10 s, then throws.
 */
export async function removeContainer(engine: Engine, id: string, { mayAppear = false } = {}): Promise<void> {
  const start = performance.now();
  const deadline = AbortSignal.timeout(REMOVE_MS);
  for (;;) {
    const failure = await remove(engine, id, deadline);
    if (failure === undefined) return;
    const notThere = statusOf(failure) === 404;
    if (notThere && !(mayAppear && performance.now() - start < APPEAR_MS)) return;
    if (deadline.aborted) throw notRemoved(id, failure);
    // 409: somebody else is removing it. The rest may pass: an engine that restarts, a kill that came too late.
    await rest(POLL_MS);
  }
}

async function remove(engine: Engine, id: string, signal: AbortSignal): Promise<unknown> {
  try {
    await engine.removeContainer(id, { signal });
    return undefined;
  } catch (error) {
    return error;
  }
}

function notRemoved(id: string, failure: unknown): AppError {
  const what = `The container ${id} could not be removed`;
  const { message } = engineError(failure, { reason: "CONTAINER_REMOVE_FAILED", what });
  return new AppError("CONTAINER_REMOVE_FAILED", message.startsWith(what) ? message : `${what}: ${message}`, {
    metadata: { container: id },
    retryable: true,
    help: `Remove it by hand: docker rm -fv ${id}`,
    cause: failure,
  });
}
