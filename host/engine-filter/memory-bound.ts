import { refused } from "./refused.ts";

/** The label that says how much memory (bytes) a container that was created through a filter may take. */
export const MEMORY_LABEL = "dev.claudecluster.filter-memory";

/** A container as it is listed. */
interface Listed {
  State?: unknown;
  Labels: Record<string, string> | null | undefined;
}

/** What is looked at to hold the bound. */
export interface MemoryState {
  /** All that the filter has created. */
  containers: readonly Listed[];
  /** What the engine's machine has, in bytes. */
  machineBytes: number;
}

/**
 * Holds the memory of all containers that were created through a filter together to what the machine has: more would be
 * no limit at all, since the machine would run out before the container does.
 */
export class MemoryBound {
  /** Of creates under way, which may not be listed yet. */
  #pendingBytes = 0;

  /** Takes the memory of one more until it is disposed of, once the create has been answered. Throws ENGINE_CALL_REFUSED. */
  take(bytes: number, { containers, machineBytes }: MemoryState): Disposable {
    const held = containers.filter(({ State }) => State !== "exited" && State !== "dead");
    const heldBytes = held.reduce((sum, { Labels }) => sum + (Number(Labels?.[MEMORY_LABEL]) || 0), 0);
    if (heldBytes + this.#pendingBytes + bytes > machineBytes) {
      throw refused("Together with those that are there, the container would have more memory than the machine.");
    }
    this.#pendingBytes += bytes;
    return { [Symbol.dispose]: () => void (this.#pendingBytes -= bytes) };
  }
}
