import { refused } from "./refused.ts";

/** Label with the memory (bytes) of a container that was created through a filter. */
export const MEMORY_LABEL = "dev.claudecluster.filter-memory";

/** A container as it is listed. */
interface Listed {
  State?: unknown;
  Labels: Record<string, string> | null | undefined;
}

/** State that the bound is checked against. */
export interface MemoryState {
  /** All containers that the filter has created. */
  containers: readonly Listed[];
  /** Memory of the engine's machine (bytes). */
  machineBytes: number;
}

/**
 * Bound on the memory of all containers that were created through a filter: what the machine has. Above it their limits
 * would be none, since the machine would run out before a container does.
 */
export class MemoryBound {
  /** Of creates under way, which may not be listed yet. */
  #pendingBytes = 0;

  /**
   * Reserves memory for one more container, until what it returns is disposed of, once the create has been answered.
   * Throws ENGINE_CALL_REFUSED.
   */
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
