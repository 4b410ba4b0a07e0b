import type { ContainerCreateOptions } from "dockerode";
import type { BackgroundTasks } from "./background-tasks.ts";
import { isDefinite } from "./engine-error.ts";
import type { Engine } from "./engine.ts";
import { raceSignal } from "../race-signal.ts";
import { removeContainer } from "./remove-container.ts";

/** How long a reply is waited for after the caller has gone. */
const LATE_REPLY_MS = 15_000;

/** Answer of the engine to a create. */
export interface Created {
  id: string;
  warnings: string[];
}

/**
 * Asks the engine for a container. Rejects at once when aborted. A container whose reply comes too late, or never, is
 * removed in the background.
 */
export async function sendCreate(
  engine: Engine,
  name: string,
  config: ContainerCreateOptions,
  { signal, background }: { signal: AbortSignal; background: BackgroundTasks },
): Promise<Created> {
  signal.throwIfAborted();
  // The request itself is not aborted: its reply says whether there is something to remove.
  const patience = new AbortController();
  const creation = engine.createContainer(name, config, { signal: patience.signal });
  try {
    return await raceSignal(creation, signal);
  } catch (error) {
    if (signal.aborted || !isDefinite(error)) background.add(removeLate(engine, name, creation, patience));
    throw error;
  }
}

async function removeLate(
  engine: Engine,
  name: string,
  creation: Promise<Created>,
  patience: AbortController,
): Promise<void> {
  const timer = setTimeout(() => patience.abort(), LATE_REPLY_MS);
  const answer = await creation.catch((error: unknown) => error).finally(() => clearTimeout(timer));
  const answered = isCreated(answer) || isDefinite(answer);
  await removeContainer(engine, isCreated(answer) ? answer.id : name, { mayAppear: !answered });
}

function isCreated(answer: unknown): answer is Created {
  return typeof answer === "object" && answer !== null && "id" in answer;
}
