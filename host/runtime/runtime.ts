import type { ErrorReason } from "../../proto/index.ts";
import type { Duplex } from "node:stream";

/** What a session's container gets. Limits are hard: a runtime that cannot apply one refuses. */
export interface ContainerRequest {
  sessionId: string;
  image: string;
  memoryBytes: number;
  cpuCount: number;
  /** Where the runtime has fewer CPUs it gives all of them. Default false: it refuses. */
  fewerCpusWillDo?: boolean;
  /** Part of the memory. */
  workspaceSizeBytes: number;
}

/** Plain JSON that names a container of ours, also after a restart of the host. */
export interface ContainerRef {
  version: 1;
  runtime: string;
  /** The runtime's name of the container. */
  id: string;
  sessionId: string;
  /** The uid that Claude runs under. */
  sessionUid: number;
  /** When it was created, ms since 1970. */
  createTimeMs: number;
  running: boolean;
}

/** How a container ended. */
export interface ContainerExit {
  exitCode: number | undefined;
  /** Something in it was killed for want of memory. */
  outOfMemory: boolean;
  /** Somebody removed it before its end could be looked at. */
  removed: boolean;
  /** The runtime itself was away when it ended: most likely its own restart ended it. Default false. */
  runtimeLost?: boolean;
  /** The end of what the agent wrote to its log; from inside, so not to be trusted. */
  lastLogLines: string[];
}

/** What a runtime is doing, for people and for the session's phases. */
export interface CreateProgress {
  phase: "image" | "create" | "start";
  message: string;
}

/** What a runtime's machine has for all containers together, as far as the runtime says it. */
export interface RuntimeCapacity {
  cpuCount?: number;
  memoryBytes?: number;
}

/** A runtime's state of health. */
export type RuntimeHealth =
  | { healthy: true; description: string; warnings: string[]; capacity?: RuntimeCapacity }
  | { healthy: false; reason: ErrorReason; message: string; help: string };

/** What is known of an image. */
export interface ImageFacts {
  /** When it was built, ms since 1970. */
  createTimeMs: number;
  labels: Record<string, string>;
}

/** Abilities as data: nobody asks which runtime it is. */
export interface RuntimeCapabilities {
  /** Memory, CPU and process limits are enforced. */
  enforcesLimits: boolean;
}

/**
 * Creates containers with an agent in them. Every implementation passes
 * `test/contract/runtime-contract.ts`.
 */
export interface Runtime extends AsyncDisposable {
  readonly name: string;
  readonly capabilities: RuntimeCapabilities;
  /** Looks whether containers can be created. Does not throw. */
  check(options: { signal: AbortSignal }): Promise<RuntimeHealth>;
  /** Looks at an image. Undefined if it is not there. */
  inspectImage(image: string, options: { signal: AbortSignal }): Promise<ImageFacts | undefined>;
  /**
   * Gives a started container or leaves nothing behind. Rejects within a second of an abort, with
   * the signal's reason. Throws AppError: IMAGE_NOT_FOUND, RUNTIME_UNAVAILABLE,
   * RUNTIME_UNSUPPORTED, RUNTIME_PERMISSION_DENIED, LIMITS_NOT_ENFORCED, CONTAINER_CREATE_FAILED.
   */
  create(
    request: ContainerRequest,
    options: { signal: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<Container>;
  /** Takes over a container of ours. Undefined if it is not there any more. */
  adopt(ref: ContainerRef, options: { signal: AbortSignal }): Promise<Container | undefined>;
  /** Every container of ours, running or not; never a foreign one. */
  list(options: { signal: AbortSignal }): Promise<ContainerRef[]>;
  /**
   * Removes containers of sessions that ended before a time (ms since 1970), or were created before it and never started,
   * whichever host they were of: one whose state is lost leaves them for good. Never one that runs or is paused, of a
   * session that is live, or without our labels.
   * Returns their ids. Throws, once it has tried them all, if one would not go.
   */
  removeAbandoned(options: RemoveAbandonedOptions): Promise<string[]>;
}

/** Which of the containers that have ended are abandoned. */
export interface RemoveAbandonedOptions {
  endedBeforeMs: number;
  isLive: (sessionId: string) => boolean;
  signal: AbortSignal;
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
  /** Asks the agent to end, then ends it. Resolves once it has exited. */
  stop(options: { graceMs: number }): Promise<void>;
  /** Stops and removes. Twice is fine; "already gone" is fine; does not throw for it. */
  [Symbol.asyncDispose](): Promise<void>;
}
