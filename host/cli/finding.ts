import { asExplainedError } from "../file-problem.ts";

/** One line of the doctor's. */
export interface Finding {
  subject: string;
  ok: boolean;
  message: string;
  /** What to do, or what could be done where it is well. */
  help?: string;
}

/** Returns what an error is as a finding. */
export function problem(subject: string, error: unknown): Finding {
  const { message, help } = asExplainedError(error);
  return { subject, ok: false, message, ...(help !== "" && { help }) };
}
