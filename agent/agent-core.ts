import type { AgentConfig } from "./config.ts";
import type { HostPresence } from "./host-presence.ts";
import type { Relay } from "./relay/relay.ts";
import type { Seat } from "./seat.ts";
import type { OnlySession } from "./session/only-session.ts";
import type { Timeouts } from "./timeouts.ts";
import type { Versions } from "./versions.ts";

/** Parts of the agent that calls work on. */
export interface AgentCore {
  readonly config: AgentConfig;
  readonly timeouts: Timeouts;
  /** Id of this process. Another id means another agent, whose log is empty. */
  readonly instanceId: string;
  /**
   * Returns the versions in the container. They are asked for at the first call: starting Claude Code once takes longer
   * than starting the agent.
   */
  readonly versions: () => Promise<Versions>;
  readonly sessions: OnlySession;
  readonly relay: Relay;
  readonly presence: HostPresence;
  /** Seat of the caller that stores the events. */
  readonly owner: Seat;
  /** Seat of the caller that takes the connections. */
  readonly connectionTaker: Seat;
}
