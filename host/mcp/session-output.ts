import { z } from "zod";

/** Schema of a session in the tools' results. See SessionSummary. */
export const sessionOutputSchema = z.looseObject({
  sent: z.string().describe("What the session was given to work on, and what of it was left out and why."),
  session_id: z.string(),
  container_id: z.string(),
  state: z.string(),
  note: z.string(),
  waiting_for: z
    .array(z.looseObject({ request_id: z.string(), kind: z.enum(["permission", "question"]), expire_time: z.string() }))
    .optional(),
  waiting: z
    .string()
    .optional()
    .describe("What the host waits for before it can go on with the session, and what to do; the rest may be older."),
  recent_progress: z.array(z.string()).optional(),
  result: z.string(),
  answer_uri: z.string().optional(),
  no_answer: z.string().optional(),
  changes: z.array(
    z.looseObject({ path: z.string(), kind: z.string(), added_lines: z.number(), deleted_lines: z.number() }),
  ),
  change_count: z.number(),
  patch: z.string().optional(),
  patch_uri: z.string(),
  patch_size_bytes: z.number(),
  not_in_patch: z
    .array(z.string())
    .optional()
    .describe("What the patch does not hold and why. It is gone with the container: tell your user."),
  usage: z
    .looseObject({ input_tokens: z.number(), output_tokens: z.number(), cost_usd: z.number().optional() })
    .optional(),
  phases: z.array(z.object({ phase: z.string(), seconds: z.number() })),
  elapsed_seconds: z.number(),
});
