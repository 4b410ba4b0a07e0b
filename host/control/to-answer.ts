import type { Answer } from "../../proto/index.ts";

/** Returns an answer as the session layer takes it. */
export function toAnswer({ requestId, answers }: Answer): { requestId: string; answers: string[][] } {
  return { requestId, answers: answers.map(({ values }) => values) };
}
