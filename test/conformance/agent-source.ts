import type { Duplex } from "node:stream";

/** An agent that the checks talk to. Disposing it ends what was started for it. */
export interface RunningAgent extends AsyncDisposable {
  /** Opens one more connection. Rejects if there is no agent. */
  dial(): Promise<Duplex>;
  /** Shown with every call. Undefined: the way in is trusted. */
  readonly token: string | undefined;
}

/** Where agents come from. */
export interface AgentSource {
  /** Each `start` is an agent that has just begun. False: always the same one. */
  readonly fresh: boolean;
  start(): Promise<RunningAgent>;
}
