import type { AppError, ErrorReason } from "../../proto/index.ts";

/** What a model does next after an error, where the error's own help speaks of commands or says nothing. */
const NEXT: Partial<Record<ErrorReason, string>> = {
  TASK_EMPTY: "Say in task what Claude is to do.",
  MESSAGE_EMPTY: "Say in message what Claude is to do.",
  SESSION_NOT_FOUND: "list_sessions shows the ids. The last 4 characters of one, or more of them, will do.",
  SESSION_AMBIGUOUS: "Give more of the id; list_sessions shows all of it.",
  SESSION_OVER:
    "get_session shows what it left. To go on with it: spawn_claude_container with continue_session, its id.",
  SESSION_ENDED:
    "wait_session brings what it left. To go on with it: spawn_claude_container with continue_session, its id.",
  SESSION_NOT_FINISHED: "wait_session waits for it; stop_session ends it and keeps its changes.",
  TURN_NOT_RUNNING: "send_message gives it something to do; stop_session ends it.",
  TURN_LIMIT_REACHED: "spawn_claude_container with continue_session, its id, goes on with it once it has ended.",
  QUEUE_FULL: "wait_session waits for the running turn.",
  DECISION_UNKNOWN: "get_session shows what waits for a decision, each with its request_id.",
  DECISION_MADE: "The first decision counts. get_session shows how it goes on.",
  DECISION_MISMATCH: "A permission takes decide_permission, a question answer_question.",
  ANSWER_INVALID:
    'Give answers, a list with a list for each question in order, such as [["yes"]]. get_session shows them.',
  PREVIOUS_SESSION_INVALID:
    "Give continue_session or after, and in it the id of a session. list_sessions shows the ids.",
  PREVIOUS_SESSION_NOT_FOUND: "list_sessions shows the sessions that are stored.",
  PREVIOUS_SESSION_LIVE:
    "send_message gives it more to do. To start from its changes later: after, in place of continue_session.",
  PAGE_TOKEN_INVALID: "Call list_sessions without page_token first; its answer names the next one.",
  NOTHING_TO_APPLY: "get_session shows what it has changed. What is in submodules is only taken with worktree: true.",
  NOTHING_TO_UNDO: "list_sessions shows which session's changes were taken, and to where.",
  APPLY_BLOCKED: "Have that moved away, or call apply_changes without worktree: a new branch is never in the way.",
  BRANCH_EXISTS: "Call apply_changes with another name as branch.",
  BRANCH_INVALID: 'Give a name such as "claude/fix-login" as branch, or leave it out.',
  PATH_OUTSIDE: 'Give paths from the project\'s directory, such as "src/a.ts".',
  COMMITS_NOT_APPLIED: "Call apply_changes without worktree, stage and paths; or without commits and ref.",
  START_NOT_FOUND: "Call it in the repository that the session started from, or have that commit fetched first.",
  UNDO_BLOCKED: "Have that brought back to what was applied, or leave it as it is.",
  MEMORY_INVALID: 'Give memory such as "512m" or "4g", or leave it out.',
  CPU_INVALID: "Give cpus such as 2, or leave it out.",
  TIMEOUT_INVALID: "Give timeout_seconds from 1 to 86400, or leave it out.",
  COMMAND_INVALID: "Give the command too, as setup or check, or leave its time out.",
  REF_OF_DIRECTORY: "Leave ref out: a directory goes in as it lies there.",
  REF_WITHOUT_REPOSITORY: "Give repository, an http(s) URL, beside ref; or leave ref out.",
  INCLUDE_NOT_LOCAL: "Give repository, a directory of this machine, beside include; or leave include out.",
};

/** Returns an error as a model reads it: its reason, what is wrong, and what to do next with which tool. */
export function errorText(error: AppError): string {
  return [`${error.reason}: ${error.message}`, NEXT[error.reason] ?? error.help].join(" ").trimEnd();
}
