import { create } from "@bufbuild/protobuf";
import { PassThrough, Readable } from "node:stream";
import { expect, test } from "vitest";
import { Session_State, SessionSchema } from "../../proto/index.ts";
import { printResult } from "../present/print-result.ts";
import { type SessionSummary, summarizeSession } from "../present/session-summary.ts";
import { printPatch } from "./diff.ts";

const PATCH = Buffer.from("--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+y\n");

function summaryWith(failure?: { reason: string; message: string }): SessionSummary {
  const session = create(SessionSchema, {
    id: "ses-1",
    state: failure === undefined ? Session_State.SUCCEEDED : Session_State.FAILED,
    result: {
      ...(failure !== undefined && { outcome: { case: "failure", value: failure } }),
      skippedFilters: [{ name: "lfs", fileCount: 2 }],
    },
  });
  return summarizeSession(session, { sizeBytes: PATCH.length, bytes: PATCH });
}

const MISMATCH = { reason: "PATCH_MISMATCH", message: "The patch is not what the list of changes says: x." };

/** Returns what a printer writes, and its answer. */
async function printed<T>(
  print: (io: { stdout: PassThrough; stderr: PassThrough }) => Promise<T>,
): Promise<[T, string, string]> {
  const io = { stdout: new PassThrough(), stderr: new PassThrough() };
  const answer = await print(io);
  return [answer, String(io.stdout.read() ?? ""), String(io.stderr.read() ?? "")];
}

test("a patch that contradicts the list of changes is printed only by force, and has failed also then", async () => {
  const summary = summaryWith(MISMATCH);
  const [{ code }, out, said] = await printed((io) =>
    printPatch(summary, Readable.from([PATCH]), { force: false }, io),
  );
  expect([code, out]).toEqual([1, ""]);
  expect(said).toContain(`PATCH_MISMATCH: ${MISMATCH.message}`);
  expect(said).toContain("--force");
  const [{ code: forced }, given, warned] = await printed((io) =>
    printPatch(summary, Readable.from([PATCH]), { force: true }, io),
  );
  expect([forced, given]).toEqual([1, PATCH.toString()]);
  expect(warned).toContain("PATCH_MISMATCH");
});

test("a patch that contradicts the list of changes is in no result", async () => {
  const summary = summaryWith(MISMATCH);
  expect(summary.patch).toBeUndefined();
  const [, out, said] = await printed((io) => printResult(summary, Readable.from([PATCH]), io));
  expect(out).toBe("");
  expect(said).toContain("claudecluster diff --force ses-1");
});

test("a patch of a session that failed otherwise is printed, with what has to be known of it", async () => {
  const summary = summaryWith({ reason: "TIMEOUT", message: "Too long." });
  expect(summary.patch).toBe(PATCH.toString());
  const [{ code }, out, said] = await printed((io) =>
    printPatch(summary, Readable.from([PATCH]), { force: false }, io),
  );
  expect([code, out]).toEqual([0, PATCH.toString()]);
  expect(said).toContain("patch: filter lfs of .gitattributes does not run in a container: 2 files");
});
