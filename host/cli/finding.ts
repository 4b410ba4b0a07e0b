import { asExplainedError } from "../file-problem.ts";

/** Finding of the doctor: one line that it prints. */
export interface Finding {
  subject: string;
  ok: boolean;
  message: string;
  /** Advice: what to do, or what could be better where it is well. */
  help?: string;
}

/** Returns an error as a finding that is not ok. */
export function problem(subject: string, error: unknown): Finding {
  const { message, help } = asExplainedError(error);
  return { subject, ok: false, message, ...(help !== "" && { help }) };
}
