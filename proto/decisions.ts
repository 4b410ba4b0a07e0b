import { AppError } from "./app-error.ts";
import type { ErrorReason } from "./error-reasons.ts";
import type {
  PermissionRequested,
  QuestionAnswer,
  QuestionAsked,
  SessionEvent,
} from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";
import { cutChars } from "./cut.ts";
import {
  type PendingRequest,
  PendingRequest_Kind,
  type Session,
} from "./gen/claudecluster/session/v1alpha1/session_pb.ts";

/** Most bytes of all answers to one request. */
const ANSWER_BYTES = 32 * 1024;
const MAX_REMEMBERED = 1000;

/** Decision that Claude waits for: a permission to use a tool, or an answer to its question. */
export type PendingDecision =
  { kind: "permission"; request: PermissionRequested } | { kind: "question"; request: QuestionAsked };

/** Memory of the newest thousand ids. */
export class RememberedIds {
  readonly #ids = new Set<string>();

  add(id: string): void {
    this.#ids.add(id);
    if (this.#ids.size > MAX_REMEMBERED) this.#ids.delete(this.#ids.values().next().value!);
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }
}

/**
 * Checks that a decision is waited for. Throws DECISION_UNKNOWN if nothing waits under the id, DECISION_MADE if it has
 * been decided, DECISION_MISMATCH if what waits is of the other kind. `known.waiting` is undefined where nothing waits.
 */
export function requirePending(
  requestId: string,
  kind: PendingDecision["kind"],
  known: { waiting: PendingDecision["kind"] | undefined; decided: boolean },
): void {
  const { waiting, decided } = known;
  if (waiting === kind) return;
  const metadata = { request_id: cutChars(requestId, 64) };
  if (waiting !== undefined) {
    const [wrong, right] =
      kind === "question" ? ["an answer", "permission_decision"] : ["a permission_decision", "answer"];
    throw refused("DECISION_MISMATCH", `This request does not wait for ${wrong}.`, `Send ${right}.`, metadata);
  }
  if (decided) throw decisionMade(requestId);
  const help = "Take the request_id from permission_requested or question_asked.";
  throw refused("DECISION_UNKNOWN", `No request "${metadata.request_id}" waits for a decision.`, help, metadata);
}

/** Returns the decision that an event asks for. Undefined: it asks for none. */
export function decisionAsked({ event }: SessionEvent): PendingDecision | undefined {
  if (event.case === "permissionRequested") return { kind: "permission", request: event.value };
  return event.case === "questionAsked" ? { kind: "question", request: event.value } : undefined;
}

/**
 * Returns the request under this id that a session waits to have decided. Throws DECISION_UNKNOWN, DECISION_MADE or
 * DECISION_MISMATCH, as `requirePending` does.
 */
export function requireDecision(session: Session, requestId: string, kind: PendingDecision["kind"]): PendingRequest {
  const pending = session.pendingRequests.find((known) => known.requestId === requestId);
  const waiting = pending && (pending.kind === PendingRequest_Kind.QUESTION ? "question" : "permission");
  requirePending(requestId, kind, { waiting, decided: session.decidedRequestIds.includes(requestId) });
  return pending!;
}

/** Returns the error for a second decision on one request. */
export function decisionMade(requestId: string): AppError {
  const help = "The first decision counts; the events say which it was.";
  return refused("DECISION_MADE", "This request is decided already.", help, { request_id: cutChars(requestId, 64) });
}

/** Checks that answers fit their questions. Throws ANSWER_INVALID. */
export function checkAnswers(answers: readonly Pick<QuestionAnswer, "values">[], questionCount: number): void {
  const values = answers.flatMap((answer) => answer.values);
  const encoder = new TextEncoder();
  const bytes = values.reduce((sum, value) => sum + encoder.encode(value).length, 0);
  let problem: string | undefined;
  if (answers.length !== questionCount) problem = `${answers.length} answers came for ${questionCount} questions`;
  else if (answers.some((answer) => answer.values.every((value) => value.trim() === "")))
    problem = "an answer is empty";
  else if (bytes + 8 * values.length > ANSWER_BYTES) problem = `the answers have more than ${ANSWER_BYTES} bytes`;
  if (problem === undefined) return;
  const help = "Send one answer for each question, in their order, with at least one value each.";
  throw new AppError("ANSWER_INVALID", `The answer does not fit: ${problem}.`, { help });
}

function refused(reason: ErrorReason, message: string, help: string, metadata: Record<string, string> = {}): AppError {
  return new AppError(reason, message, { kind: "FAILED_PRECONDITION", help, metadata });
}
