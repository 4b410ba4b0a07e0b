import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Session, SessionResult } from "../../proto/index.ts";
import { oneLine } from "./plain-text.ts";
import { repositoryName } from "./sent-text.ts";
import { elapsedSeconds, stateName } from "./session-summary.ts";
import { takenText } from "./taken-text.ts";

/** Session in a list, with what is needed to recognize it and to decide what to do. */
export interface SessionEntry {
  session_id: string;
  state: string;
  /** Task, cut to one line. */
  task: string;
  repository: string;
  parent: string;
  /** Name of the caller elsewhere that started it. Absent: the host's own user, or somebody with the shared token. */
  caller?: string;
  /** Time of creation, in ISO 8601. */
  create_time: string;
  elapsed_seconds: number;
  /** Obstacle that the host waits for, and what to do about it. Absent: none. */
  waiting?: string;
  /** Number of changed files. Of a live session: so far. */
  change_count?: number;
  /** Whether there is work that the patch does not hold, or it may lack changes. The session itself says which. */
  beside_patch?: true;
  /** What became of the changes: see takenText. Absent: there are none, or it has not finished. */
  taken?: string;
  /** Cost that the host has counted. Absent until the model has answered once. */
  cost_usd?: number;
  /** Reason of a failure, or who canceled it. */
  ended_by?: string;
}

/** Returns a session as an entry of a list. */
export function sessionEntry(session: Session): SessionEntry {
  const { spec, result, live, createTime } = session;
  // A live one without changes may have some that have not been seen yet.
  const taken = takenText(session);
  const changeCount = result?.changeCount ?? (live?.changeCount || undefined);
  const { meteredUsage } = result ?? live ?? {};
  const outcome = result?.outcome;
  return {
    session_id: session.id,
    state: stateName(session.state),
    task: oneLine(spec?.task ?? "", 100),
    repository: repositoryName(spec?.repository),
    parent: oneLine(session.parent, 64),
    ...(session.caller !== "" && { caller: oneLine(session.caller, 64) }),
    create_time: createTime === undefined ? "" : timestampDate(createTime).toISOString(),
    elapsed_seconds: elapsedSeconds(session),
    ...(session.waitingReason !== "" && { waiting: oneLine(session.waitingReason) }),
    ...(changeCount !== undefined && { change_count: changeCount }),
    ...(result !== undefined && hasWorkBeside(result) && { beside_patch: true }),
    ...(taken !== undefined && { taken }),
    ...(meteredUsage !== undefined && { cost_usd: meteredUsage.costUsd }),
    ...(outcome?.case === "failure" && { ended_by: oneLine(outcome.value.reason, 64) }),
    ...(outcome?.case === "cancellation" && { ended_by: oneLine(outcome.value.reason, 100) }),
  };
}

function hasWorkBeside({ leftWork, patchTruncated }: SessionResult): boolean {
  return patchTruncated || (leftWork?.itemCount ?? 0) > 0;
}
