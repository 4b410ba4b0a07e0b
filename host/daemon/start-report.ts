import { createWriteStream, fstatSync } from "node:fs";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import * as z from "zod";
import { AppError, type ErrorKind } from "../../proto/index.ts";
import { asExplainedError } from "../file-problem.ts";

/** The descriptor on which a host that was started on demand says how that went. */
const DESCRIPTOR = 3;

const reportSchema = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("ready") }),
  z.object({
    outcome: z.literal("failed"),
    reason: z.string(),
    kind: z.string(),
    message: z.string(),
    help: z.string(),
  }),
]);

/**
 * Tells whoever started this host that it is ready, or why it is not. It does so once, and does not mind if nobody is
 * there.
 */
export function reportStart(error?: unknown): Promise<void> {
  let report: z.infer<typeof reportSchema> = { outcome: "ready" };
  if (error !== undefined) {
    const { reason, kind, message, help } = asExplainedError(error);
    report = { outcome: "failed", reason, kind, message, help };
  }
  return new Promise((resolve) => {
    try {
      fstatSync(DESCRIPTOR);
    } catch {
      // Started by hand.
      return resolve();
    }
    createWriteStream("", { fd: DESCRIPTOR })
      .on("error", () => resolve())
      .on("close", () => resolve())
      .end(JSON.stringify(report));
  });
}

/** Reads how a start went. Throws HOST_START_FAILED, and what the host could not start for. */
export async function readStartReport(stream: Readable, options: { logPath: string }): Promise<void> {
  const written = await text(stream).catch(() => "");
  const parsed = written === "" ? undefined : reportSchema.safeParse(JSON.parse(written));
  if (parsed?.success !== true) {
    throw new AppError("HOST_START_FAILED", "The host ended before it was ready.", {
      help: `Its log may say why: ${options.logPath}`,
      metadata: { log: options.logPath },
    });
  }
  if (parsed.data.outcome === "ready") return;
  const { reason, kind, message, help } = parsed.data;
  throw AppError.received({ reason, message, kind: kind as ErrorKind, help });
}
