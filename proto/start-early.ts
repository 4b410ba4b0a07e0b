import type { SessionSpec } from "./gen/claudecluster/session/v1alpha1/session_spec_pb.ts";

/** Part of a spec that says whether Claude may be started early. */
export type EarlySpec = Pick<SessionSpec, "setup" | "loadProjectSettings" | "previousSessionId">;

/**
 * Returns whether Claude can be started before the session's files are there: nothing that it reads at its start may come
 * from them, nor from what ran on them.
 */
export function mayStartEarly({ setup, loadProjectSettings, previousSessionId }: EarlySpec): boolean {
  return (setup?.command ?? "") === "" && !loadProjectSettings && previousSessionId === "";
}
