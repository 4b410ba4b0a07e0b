import type { Logger } from "../log.ts";
import type { SessionSpec, UserFile } from "../../proto/index.ts";
import type { Timeouts } from "../timeouts.ts";
import type { Restore } from "./incoming-artifacts.ts";
import type { PreparedClaude } from "./prepared-claude.ts";
import type { SessionPlace } from "./session-place.ts";

/** Session that an agent is given, once in its life. */
export interface Assignment {
  id: string;
  /** Specification with its defaults filled in. */
  spec: SessionSpec;
  /** Files of the user's own set-up, whole; the spec only tells of them. */
  userFiles: readonly UserFile[];
  /** State that an earlier session left. Undefined: this one continues none. */
  restore: Restore | undefined;
  /** Beginnings of the URLs that git reaches by its own listener. */
  gitPrefixes: readonly string[];
  /** Claude that was started before. Undefined: none was. */
  prepared: PreparedClaude | undefined;
}

/** Surroundings that an agent has before it is given a session. */
export interface SessionSurroundings {
  /** Place in which the session happens. */
  place: SessionPlace;
  timeouts: Timeouts;
  log: Logger;
}
