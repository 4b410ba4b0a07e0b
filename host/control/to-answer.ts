import type { Answer } from "../../proto/index.ts";
import type { Answers } from "../session/sessions.ts";

/** Returns an answer as the session layer takes it. */
export function toAnswer({ requestId, answers, decider }: Answer): Answers {
  return { requestId, answers: answers.map(({ values }) => values), decider };
}
