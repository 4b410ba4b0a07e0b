import type { Duplex } from "node:stream";
import type { ContainerShape } from "../runtime.ts";

/** What a test puts into a fake container. */
export interface FakeAgent {
  /** Takes a connection. */
  serve(stream: Duplex): void;
  /** Ends the container. */
  readonly exited: Promise<{ exitCode: number }>;
  /** Ends it at once, whatever it is doing. */
  kill(): void;
  /** What it has written to its log so far. */
  readonly logLines?: readonly string[];
}

/** Makes the agent of a container that is being started. `id` is the container's. */
export type CreateFakeAgent = (shape: ContainerShape, id: string) => FakeAgent;
