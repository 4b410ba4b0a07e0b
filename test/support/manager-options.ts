import { pino } from "pino";
import type { SessionManagerOptions } from "../../host/session/session-manager.ts";
import { NO_GIT_CREDENTIALS } from "./no-git-credentials.ts";
import { openModel } from "./open-model.ts";

/** What a session manager is given beside its runtime and its store, where nothing outside of it is reached. */
export function managerOptions(): Omit<SessionManagerOptions, "runtime" | "store"> {
  return {
    defaultImage: "agent:test",
    model: openModel("http://127.0.0.1:9"),
    git: NO_GIT_CREDENTIALS,
    egress: { mode: "none", allowed: [], allowedPrivate: [] },
    logger: pino({ level: "silent" }),
  };
}
