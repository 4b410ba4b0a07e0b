import { BRIEF_RESULT, cutResult, cutText, type LastAnswer, type Session } from "../../proto/index.ts";

/** Enough to know a session by. */
const MAX_TEXT_BYTES = 4 * 1024;

/**
 * Shortens in place what can be huge in a session, for lists and greetings: task, variables, texts and lists of the
 * result.
 */
export function cutSession(session: Session): Session {
  const { spec, result, live } = session;
  if (live !== undefined) {
    live.changes = [];
    if (live.answer !== undefined) cutAnswer(live.answer);
  }
  if (spec !== undefined) {
    spec.task = cutText(spec.task, MAX_TEXT_BYTES).text;
    spec.environment = {};
  }
  if (result !== undefined) session.result = cutResult(result, BRIEF_RESULT);
  return session;
}

function cutAnswer(answer: LastAnswer): void {
  const { text, truncated } = cutText(answer.text, MAX_TEXT_BYTES);
  answer.text = text;
  answer.truncated ||= truncated;
}
