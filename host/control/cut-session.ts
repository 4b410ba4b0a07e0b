import { cutText, type Session } from "../../proto/index.ts";

/** Enough to know a session by. */
const MAX_TEXT_BYTES = 4 * 1024;

/** Shortens in place what can be huge, for lists and greetings: the task, the variables, the result's texts and lists. */
export function cutSession(session: Session): Session {
  const { spec, result } = session;
  if (spec !== undefined) {
    spec.task = cutText(spec.task, MAX_TEXT_BYTES).text;
    spec.environment = {};
  }
  if (result !== undefined) {
    const { text, truncated } = cutText(result.finalText, MAX_TEXT_BYTES);
    result.finalText = text;
    result.finalTextTruncated ||= truncated;
    result.changes = [];
    result.unreadablePaths = [];
    result.unconvertedPaths = [];
    result.skippedFilters = [];
    result.unreadableReasons = [];
    if (result.leftWork !== undefined) result.leftWork.items = [];
    if (result.ignoredFiles !== undefined) result.ignoredFiles.paths = [];
  }
  return session;
}
