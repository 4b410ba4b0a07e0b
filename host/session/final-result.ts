import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import {
  answerWithin,
  AppError,
  Artifact_Kind,
  type Failure,
  findPatchMismatch,
  type LastAnswer,
  type MeteredUsage,
  type ReadableArtifact,
  type SessionResult,
  SessionResultSchema,
  type SessionSpec,
  type TurnAnswer,
} from "../../proto/index.ts";
import type { SessionStore } from "../store/session-store.ts";
import type { AgentResult } from "./agent-link.ts";
import { failure, patchLost } from "./ending.ts";
import { explainModelTrouble } from "./model-trouble.ts";
import { SalvagedPatch, salvageChanges } from "./salvage.ts";
import type { SessionLog } from "./session-log.ts";
import { findSchemaMismatch } from "./structured-result.ts";

/** Result and artifacts of a session that has ended. A salvaged patch is not stored yet. */
export interface Ended {
  result: SessionResult;
  patch: ReadableArtifact;
  transcript: ReadableArtifact | undefined;
  commits: ReadableArtifact | undefined;
}

/** Facts of a session's end that the host knows, and its agent does not. */
export interface HostFacts {
  spec: Pick<SessionSpec, "timeout">;
  elapsedMs: number;
  /** Endpoint of the model, without /v1/messages. */
  endpoint: URL;
  /** Why the model was not reached at last. Undefined: it was, or was not asked. */
  unreached: string | undefined;
  used: MeteredUsage;
  /** Failure of a session that could not go on for want of budget. Undefined: it had enough. */
  overdrawn: Failure | undefined;
}

/**
 * Checks what an agent handed over. A patch that is not what the list of changes says makes the session's failure
 * PATCH_MISMATCH, and an answer without the schema that was asked for RESULT_INVALID. Where the agent could not compute the patch, the streamed diffs take its place.
 */
export async function checkEnded(ended: AgentResult, log: SessionLog): Promise<Ended> {
  const { result } = ended;
  if (!result.patchTruncated || ended.patch.artifact.sizeBytes > 0n) {
    const mismatch = await findPatchMismatch(ended.patch.read(), result);
    const { spec } = log.session;
    if (mismatch !== undefined) result.outcome = failure(patchMismatch(mismatch));
    else if (result.outcome.case === "success" && spec !== undefined && spec.jsonSchema !== "") {
      const other = await findSchemaMismatch(result, spec.jsonSchema);
      if (other !== undefined) result.outcome = failure(other);
    }
    return ended;
  }
  const { changes, patch } = await salvageChanges(log);
  result.changes = changes;
  result.changeCount = changes.length;
  result.treeId = "";
  return { ...ended, patch };
}

/** Returns the end of a session whose agent is gone, with this outcome and what its log holds. There is no transcript. */
export async function salvageEnded(outcome: SessionResult["outcome"], log: SessionLog): Promise<Ended> {
  const { changes, patch, incomplete } = await salvageChanges(log);
  const { conversationId, live, startTime } = log.session;
  // Once Claude was at work there may have been changes that are not in the patch.
  const patchTruncated = incomplete || startTime !== undefined;
  const answer = live?.answer && (await wholeAnswer(log, live.answer));
  const result = create(SessionResultSchema, {
    outcome,
    changes,
    changeCount: changes.length,
    patchTruncated,
    conversationId,
    baseCommitId: live?.baseCommitId ?? "",
    ...(patchTruncated && { patchFailure: patchLost(live) }),
    ...(live?.usage && { usage: live.usage }),
    ...(answer && { finalText: answer.text, finalTextTruncated: answer.truncated, finalTextTurn: answer.turn }),
  });
  return { result, patch, transcript: undefined, commits: undefined };
}

async function wholeAnswer(log: SessionLog, answer: LastAnswer): Promise<TurnAnswer> {
  const { truncated, firstSequence, lastSequence } = answer;
  return (truncated ? await answerWithin(log.between(firstSequence, lastSequence)) : undefined) ?? answer;
}

/** Adds what the host knows to a result. Doing it twice does no harm. */
export function editResult(result: SessionResult, facts: HostFacts): void {
  const { spec, elapsedMs, endpoint, unreached, used, overdrawn } = facts;
  result.elapsed = durationFromMs(Math.max(0, elapsedMs));
  result.meteredUsage = used;
  const { outcome } = result;
  if (outcome.case !== "failure") return;
  const timeoutMs = durationMs(spec.timeout!);
  outcome.value.message = explainModelTrouble(outcome.value, { endpoint, unreached, timeoutMs });
  // What Claude says of it is that the model refused.
  if (overdrawn !== undefined && isModels(outcome.value)) result.outcome = { case: "failure", value: overdrawn };
}

/** Stores all that a session left, its patch first where that is not stored yet. Throws STORE_FAILED. */
export async function storeEnded(ended: Ended, to: { store: SessionStore; sessionId: string }): Promise<void> {
  const { store, sessionId } = to;
  const { result, patch: left, transcript, commits } = ended;
  const patch = left instanceof SalvagedPatch ? await storePatch(left, to) : left;
  result.patchSizeBytes = patch.artifact.sizeBytes;
  // They are announced by the agent, and may not have come.
  result.commitsSizeBytes = commits?.artifact.sizeBytes ?? 0n;
  if (commits === undefined) for (const item of result.leftWork?.items ?? []) item.refName = "";
  store.left.put(sessionId, { result, artifacts: [patch, transcript, commits].filter((each) => each !== undefined) });
}

async function storePatch(
  patch: SalvagedPatch,
  to: { store: SessionStore; sessionId: string },
): Promise<ReadableArtifact> {
  await using incoming = await to.store.left.createArtifact(to.sessionId, Artifact_Kind.PATCH);
  for await (const piece of patch.read()) await incoming.append(piece);
  return await incoming.complete();
}

function isModels({ reason }: Failure): boolean {
  return reason === "MODEL_ERROR" || reason === "CLAUDE_ERROR";
}

function patchMismatch(mismatch: string): AppError {
  return new AppError("PATCH_MISMATCH", `The patch is not what the list of changes says: ${mismatch}.`, {
    metadata: { mismatch },
    help: "Something in the container has changed one of them: do not apply it.",
  });
}
