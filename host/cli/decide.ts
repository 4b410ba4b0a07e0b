import { AppError, type PendingDecision, PendingRequest_Kind } from "../../proto/index.ts";
import type { Sessions } from "../session/sessions.ts";
import { EXIT } from "./command-io.ts";

/**
 * Decides on the permission that Claude waits for. Default of `request`: the only one that waits. Throws DECISION_UNKNOWN,
 * DECISION_AMBIGUOUS, and as Sessions.decide.
 */
export async function decideCommand(
  sessions: Sessions,
  sessionId: string,
  { allow, request, message }: { allow: boolean; request?: string; message?: string },
): Promise<number> {
  const requestId = request ?? (await onlyPending(sessions, sessionId, "permission"));
  await sessions.decide(sessionId, { requestId, allow, ...(message !== undefined && { message }) });
  return EXIT.done;
}

/**
 * Answers Claude's questions: one answer for each, several choices separated by "|". Default of `request`: the only one that
 * waits. Throws DECISION_UNKNOWN, DECISION_AMBIGUOUS, and as Sessions.answer.
 */
export async function answerCommand(
  sessions: Sessions,
  sessionId: string,
  given: readonly string[],
  { request }: { request?: string },
): Promise<number> {
  const requestId = request ?? (await onlyPending(sessions, sessionId, "question"));
  const answers = given.map((each) => each.split("|").map((value) => value.trim()));
  await sessions.answer(sessionId, { requestId, answers });
  return EXIT.done;
}

/** The only request of a kind that waits. Throws DECISION_UNKNOWN, DECISION_AMBIGUOUS. */
async function onlyPending(sessions: Sessions, sessionId: string, kind: PendingDecision["kind"]): Promise<string> {
  const { pendingRequests } = await sessions.get(sessionId);
  const wanted = kind === "question" ? PendingRequest_Kind.QUESTION : PendingRequest_Kind.PERMISSION;
  const pending = pendingRequests.filter((request) => request.kind === wanted);
  if (pending.length === 1) return pending[0]!.requestId;
  if (pending.length === 0) {
    throw new AppError("DECISION_UNKNOWN", `Session ${sessionId} waits for no ${kind}.`, {
      help: "See claudecluster show.",
    });
  }
  const ids = pending.map(({ requestId }) => requestId).join(", ");
  throw new AppError("DECISION_AMBIGUOUS", `Session ${sessionId} waits for ${pending.length} of them: ${ids}.`, {
    help: "Say which with --request.",
  });
}
