import type { Duplex } from "node:stream";
import type { Supplies } from "./supplies.ts";

/** Shape of a container, fixed when it is made. Its limits are hard: a runtime that cannot apply one refuses. */
export interface ContainerShape {
  image: string;
  memoryBytes: number;
  cpuCount: number;
  /** Whether a runtime with fewer CPUs gives all that it has. Default: false, it refuses. */
  fewerCpusWillDo?: boolean;
  /** Size of the workspace (bytes), a part of the memory. */
  workspaceSizeBytes: number;
  /** Supply that it can read, below /supply. Default: none. */
  supply?: string;
  /**
   * What its agent prepares itself for from its start: a PrepareSessionRequest as JSON, without secrets. A runtime passes over it
   * where the image's agent is older than that, or the text too long. Default: nothing.
   */
  prepares?: string | undefined;
}

/** Name of a container as plain JSON, valid after a restart of the host. */
export interface ContainerRef {
  version: 1;
  /** Runtime that made it. No other one knows it. */
  runtime: string;
  /** Id of the container in that runtime. */
  id: string;
}

/** Container of ours in a runtime's list. */
export interface ListedContainer {
  ref: ContainerRef;
  /**
   * Time of its end, in milliseconds since 1970; of its creation, if it never started. Undefined: it runs, or is
   * paused.
   */
  endTimeMs: number | undefined;
}

/** End of a container. */
export interface ContainerExit {
  /**
   * What ended it. `exited`: the agent did, by itself. `killed`: somebody did from outside. `outOfMemory`: its memory limit
   * did. `removed`: somebody removed it before its end could be looked at. `evicted`: the runtime needed its place.
   * `runtimeLost`: the runtime itself was away when it ended, and most likely its restart ended it.
   */
  cause: "exited" | "killed" | "outOfMemory" | "removed" | "evicted" | "runtimeLost";
  /** Exit code. Undefined: the runtime does not know it. */
  exitCode: number | undefined;
  /** Last lines of the agent's log. They come from inside, and are not to be trusted. */
  lastLogLines: string[];
}

/** Step of making a container, for people and for the session's phases. */
export interface CreateProgress {
  /** Word of the runtime's own, or `build` while the image is made. Phases come in any order, and more than once. */
  phase: string;
  message: string;
}

/** Capacity of a runtime's machine for all containers together, as far as the runtime says it. */
export interface RuntimeCapacity {
  cpuCount?: number;
  memoryBytes?: number;
}

/**
 * Seal that keeps containers from the network. `noInterface`: they have no interface but loopback. `policy`: the
 * network drops their packets.
 */
export type NetworkSeal = "noInterface" | "policy";

/** Limit that a runtime may be able to enforce. */
export type EnforcedLimit = "memory" | "CPU" | "processes" | "system calls";

/** State of a runtime's health. */
export type RuntimeHealth =
  | {
      healthy: true;
      description: string;
      warnings: string[];
      capacity: RuntimeCapacity;
      networkSeal: NetworkSeal;
      enforcedLimits: EnforcedLimit[];
    }
  | { healthy: false; reason: string; message: string; help: string };

/** Facts about an image. */
export interface ImageFacts {
  /** Id of what it is now: another one after it was built anew. */
  id: string;
  /** Time at which it was built, in milliseconds since 1970. */
  createTimeMs: number;
  labels: Record<string, string>;
}

/**
 * Maker of containers with an agent in them. It does not know what they are for. Every implementation passes
 * `test/contract/runtime-contract.ts`.
 */
export interface Runtime extends AsyncDisposable {
  readonly name: string;
  /** Files that it keeps for its containers. Undefined: it keeps none. */
  readonly supplies?: Supplies;
  /** Checks that containers can be created. Takes some seconds at most. Does not throw. */
  check(options: { signal: AbortSignal }): Promise<RuntimeHealth>;
  /** Returns the facts about an image. Undefined: it is not there. */
  inspectImage(image: string, options: { signal: AbortSignal }): Promise<ImageFacts | undefined>;
  /**
   * Creates and starts a container, or leaves nothing behind. It may take minutes, but not for ever. Rejects within a
   * second of an abort, with the signal's reason. Throws IMAGE_NOT_FOUND, RUNTIME_UNAVAILABLE, RUNTIME_UNSUPPORTED,
   * RUNTIME_PERMISSION_DENIED, LIMITS_NOT_ENFORCED, CONTAINER_CREATE_FAILED, CONTAINER_CREATE_TIMED_OUT.
   */
  create(
    shape: ContainerShape,
    options: { signal: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<Container>;
  /** Takes over a container of ours. Undefined: it is gone, or belongs to another runtime. */
  adopt(ref: ContainerRef, options: { signal: AbortSignal }): Promise<Container | undefined>;
  /**
   * Lists the containers of this host, running or not, without those that are still being created here. `everyHost`:
   * those of all hosts. Foreign containers are never listed.
   */
  list(options: { everyHost?: boolean; signal: AbortSignal }): Promise<ListedContainer[]>;
}

/** Container with an agent in it. Whoever created or adopted it disposes of it. */
export interface Container extends AsyncDisposable {
  readonly ref: ContainerRef;
  /**
   * Opens a new byte stream to the agent, carrying HTTP/2. Waits for the agent to listen. Rejects with
   * AGENT_UNREACHABLE, after an exit with CONTAINER_EXITED. A stream that ends unexpectedly is destroyed with
   * CONNECTION_LOST, once it has been read to its end.
   */
  dial(options: { signal: AbortSignal }): Promise<Duplex>;
  /** Returns the memory that is in use in it (bytes), without what could be given up at once. Default: it is not known. */
  memoryUse?(options: { signal: AbortSignal }): Promise<number | undefined>;
  /** Resolves exactly once, even after dispose. Never rejects. It stays pending once the runtime is disposed of. */
  readonly exited: Promise<ContainerExit>;
  /** Stops and removes. Twice is fine; "already gone" is fine; does not throw for it. */
  [Symbol.asyncDispose](): Promise<void>;
}
