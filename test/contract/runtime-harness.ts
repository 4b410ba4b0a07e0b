import type { ContainerRef, ContainerShape, Runtime } from "../../host/runtime/runtime.ts";

/** The contract's agents: one that echoes, one that sends without an end instead. */
export type ContractAgent = "agent" | "floodingAgent";

/** What a shape differs in from the usual one. */
export type ShapeOptions = Partial<ContainerShape> & { agent?: ContractAgent };

/** What the contract's agent writes to its log when it is told to exit with a code. */
export const exitLogLine = (exitCode: number): string => `agent: exiting with ${exitCode}`;

/** Something that is held. */
export interface Hold {
  /** Resolves once there is something to hold. */
  matched: Promise<void>;
  release(): void;
}

/**
 * A machine with runtimes on it, whose agents echo bytes, and a hand that does to containers what
 * may happen to them. One is made for each test.
 */
export interface RuntimeHarness extends AsyncDisposable {
  /** Every runtime of the same host is as the one before after a restart. Closed with the harness. */
  openRuntime(options?: { otherHost?: boolean }): Runtime;
  shape(overrides?: ShapeOptions): ContainerShape;
  /** The next container that is created from this cannot be started. */
  shapeThatFails(): ContainerShape;
  readonly missingImage: string;
  /** Containers of all the hosts of this harness. */
  countContainers(): Promise<number>;
  /** Makes containers of other programs, and some that look almost like ours. Returns the runtime's names of all of them. */
  addForeignContainers(): Promise<readonly string[]>;
  /** How many of those there are. */
  countForeignContainers(): Promise<number>;

  /** The machine does not answer creates until it is released. */
  holdCreates(): Hold;
  /** The next create is done, but the answer is lost. */
  loseCreateReply(): void;

  exitAgent(ref: ContainerRef, exitCode: number): Promise<void>;
  /** Kills the container from outside. */
  kill(ref: ContainerRef): Promise<void>;
  /** Has something in the container killed for want of memory; the agent lives on. */
  exhaustMemory(ref: ContainerRef): Promise<void>;
  removeBehindBack(ref: ContainerRef): Promise<void>;
  pause(ref: ContainerRef): Promise<void>;
  resume(ref: ContainerRef): Promise<void>;
  /** Breaks every open connection to agents. */
  cutConnections(): void;
}
