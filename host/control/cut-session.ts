import { BRIEF_RESULT, cutResult, cutText, type Session } from "../../proto/index.ts";

/** Enough to know a session by. */
const MAX_TASK_BYTES = 4 * 1024;

/** Shortens in place what can be huge, for lists and greetings: the task, the variables, the result's texts and lists. */
export function cutSession(session: Session): Session {
  const { spec, result } = session;
  if (spec !== undefined) {
    spec.task = cutText(spec.task, MAX_TASK_BYTES).text;
    spec.environment = {};
  }
  if (result !== undefined) session.result = cutResult(result, BRIEF_RESULT);
  return session;
}
