import type { Logger } from "../log.ts";
import type { SessionSpec } from "../../proto/index.ts";
import type { Timeouts } from "../timeouts.ts";
import type { Restore } from "./incoming-artifacts.ts";
import type { SessionPlace } from "./session-place.ts";

/** What an agent is given once in its life. */
export interface Assignment {
  id: string;
  /** With its defaults filled in. */
  spec: SessionSpec;
  /** What it continues. */
  restore: Restore | undefined;
  /** Beginnings of URLs that git reaches by its own listener. */
  gitPrefixes: readonly string[];
}

/** What an agent has before anybody knows which session it will run. */
export interface SessionSurroundings {
  /** Where the session happens. */
  place: SessionPlace;
  timeouts: Timeouts;
  log: Logger;
}
