import type { AgentConfig } from "./config.ts";
import type { HostPresence } from "./host-presence.ts";
import type { Relay } from "./relay/relay.ts";
import type { Seat } from "./seat.ts";
import type { OnlySession } from "./session/only-session.ts";
import type { Timeouts } from "./timeouts.ts";
import type { Versions } from "./versions.ts";

/** What the calls work on. */
export interface AgentCore {
  readonly config: AgentConfig;
  readonly timeouts: Timeouts;
  /** Names this process: another one has an empty log. */
  readonly instanceId: string;
  /** Asked for at the first call: starting Claude Code once costs more than starting the agent. */
  readonly versions: () => Promise<Versions>;
  readonly sessions: OnlySession;
  readonly relay: Relay;
  readonly presence: HostPresence;
  /** Who stores the events. */
  readonly owner: Seat;
  /** Who takes the connections. */
  readonly connectionTaker: Seat;
}
