import type { Duplex } from "node:stream";

/** What is fixed of a container when it is made. Limits are hard: a runtime that cannot apply one refuses. */
export interface ContainerShape {
  image: string;
  memoryBytes: number;
  cpuCount: number;
  /** Where the runtime has fewer CPUs it gives all of them. Default false: it refuses. */
  fewerCpusWillDo?: boolean;
  /** Part of the memory. */
  workspaceSizeBytes: number;
}

/** Plain JSON that names a container, also after a restart of the host. */
export interface ContainerRef {
  version: 1;
  /** The runtime that made it; no other one knows it. */
  runtime: string;
  /** The runtime's name of the container. */
  id: string;
}

/** A container of ours as a runtime lists it. */
export interface ListedContainer {
  ref: ContainerRef;
  /** When it ended, ms since 1970; when it was made, if it never started. Undefined: it runs, or is paused. */
  endTimeMs: number | undefined;
}

/** How a container ended. */
export interface ContainerExit {
  /**
   * What ended it. `exited`: the agent did, by itself. `killed`: somebody did from outside. `outOfMemory`: its memory limit
   * did. `removed`: somebody removed it before its end could be looked at. `evicted`: the runtime needed its place.
   * `runtimeLost`: the runtime itself was away when it ended, and most likely its restart ended it.
   */
  cause: "exited" | "killed" | "outOfMemory" | "removed" | "evicted" | "runtimeLost";
  /** Undefined where the runtime does not know it. */
  exitCode: number | undefined;
  /** The end of what the agent wrote to its log; from inside, so not to be trusted. */
  lastLogLines: string[];
}

/** What a runtime is doing, for people and for the session's phases. */
export interface CreateProgress {
  /** The runtime's own word; they come in any order, and more than once. */
  phase: string;
  message: string;
}

/** What a runtime's machine has for all containers together, as far as the runtime says it. */
export interface RuntimeCapacity {
  cpuCount?: number;
  memoryBytes?: number;
}

/** Keeps containers from the network: `noInterface` gives them none but loopback, `policy` has the network drop their packets. */
export type NetworkSeal = "noInterface" | "policy";

/** Limits that a runtime may be able to hold its containers to. */
export type EnforcedLimit = "memory" | "CPU" | "processes" | "system calls";

/** A runtime's state of health. */
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

/** What is known of an image. */
export interface ImageFacts {
  /** When it was built, ms since 1970. */
  createTimeMs: number;
  labels: Record<string, string>;
}

/**
 * Makes containers with an agent in them, and knows nothing of what they are for. Every implementation passes
 * `test/contract/runtime-contract.ts`.
 */
export interface Runtime extends AsyncDisposable {
  readonly name: string;
  /** Looks whether containers can be created. Takes some seconds at most. Does not throw. */
  check(options: { signal: AbortSignal }): Promise<RuntimeHealth>;
  /** Looks at an image. Undefined if it is not there. */
  inspectImage(image: string, options: { signal: AbortSignal }): Promise<ImageFacts | undefined>;
  /**
   * Gives a started container or leaves nothing behind. May take minutes, but not for ever. Rejects within a second of
   * an abort, with the signal's reason. Throws AppError: IMAGE_NOT_FOUND, RUNTIME_UNAVAILABLE,
   * RUNTIME_UNSUPPORTED, RUNTIME_PERMISSION_DENIED, LIMITS_NOT_ENFORCED, CONTAINER_CREATE_FAILED,
   * CONTAINER_CREATE_TIMED_OUT.
   */
  create(
    shape: ContainerShape,
    options: { signal: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<Container>;
  /** Takes over a container of ours. Undefined if it is not there any more, or was another runtime's. */
  adopt(ref: ContainerRef, options: { signal: AbortSignal }): Promise<Container | undefined>;
  /**
   * Lists the containers of this host, running or not, but for those that are still being created here; with `everyHost`
   * those of all hosts. Never a foreign one.
   */
  list(options: { everyHost?: boolean; signal: AbortSignal }): Promise<ListedContainer[]>;
}

/** A container with an agent in it. Whoever created or adopted it disposes of it. */
export interface Container extends AsyncDisposable {
  readonly ref: ContainerRef;
  /**
   * Opens a byte stream to the agent, carrying HTTP/2. Waits for the agent to listen. Every call
   * is a new connection. Rejects with AGENT_UNREACHABLE, after an exit with CONTAINER_EXITED. A
   * stream that ends before we have ended it is destroyed with CONNECTION_LOST, once it has been
   * read to its end.
   */
  dial(options: { signal: AbortSignal }): Promise<Duplex>;
  /** Resolves exactly once, also after dispose. Never rejects. Pending once the runtime is disposed of. */
  readonly exited: Promise<ContainerExit>;
  /** Stops and removes. Twice is fine; "already gone" is fine; does not throw for it. */
  [Symbol.asyncDispose](): Promise<void>;
}
