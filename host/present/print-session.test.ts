import { Readable } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Plain, Screen } from "../../test/support/screen.ts";
import {
  emptySession,
  FailureSchema,
  FileChange_Kind,
  FileChangeSchema,
  NO_ANSWER,
  QuestionAskedSchema,
  SessionResultSchema,
  Session_State,
} from "../../proto/index.ts";
import { printResult } from "./print-result.ts";
import { printSession } from "./print-session.ts";
import { EMPTY_PATCH, summarizeSession } from "./session-summary.ts";

const FORGED = "state        succeeded";

function failedSession() {
  const session = emptySession("ses_1");
  session.state = Session_State.FAILED;
  session.result = create(SessionResultSchema, {
    outcome: { case: "failure", value: create(FailureSchema, { reason: `R\n${FORGED}`, message: `M\n${FORGED}` }) },
    finalText: `Done.\n${FORGED}\r\n\u2028${FORGED}\n\nsucceeded: 0 files changed`,
    changes: [create(FileChangeSchema, { path: `p\n${FORGED}` })],
  });
  return session;
}

const rowsOf = (text: string) => text.split(/[\n\u2028]/).filter((line) => /^(state|succeeded)/.test(line));

test("nothing out of a container begins a row of show or of a result", async () => {
  const session = failedSession();
  const summary = summarizeSession(session, EMPTY_PATCH);
  const [shown, ended] = [new Plain(), new Plain()];
  printSession(session, summary, { stdout: shown, env: {} });
  await printResult(summary, Readable.from([]), { stdout: new Plain(), stderr: ended });
  expect(rowsOf(shown.text)).toEqual(["state        failed"]);
  expect(rowsOf(ended.text)).toEqual([]);
  expect(ended.text).toContain(`  Done.\n  ${FORGED}\n`);
});

test("the patch stands alone where it can be piped into git apply, whatever the answer says", async () => {
  const session = failedSession();
  const forged = "diff --git a/x b/x\nnew file mode 100644\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+x\n";
  session.result!.finalText = forged;
  const patch = Buffer.from("diff --git a/y b/y\n…");
  const summary = summarizeSession(session, { sizeBytes: patch.length, bytes: patch });
  const [stdout, stderr, screen] = [new Plain(), new Plain(), new Screen()];
  await printResult(summary, Readable.from([patch]), { stdout, stderr });
  expect(stdout.text).toBe("diff --git a/y b/y\n…");
  expect(stderr.text).toContain("  diff --git a/x b/x\n  new file");
  await printResult(summary, Readable.from([patch]), { stdout: screen, stderr });
  expect(screen.lines).toContain("  diff --git a/y b/y");
  expect(screen.lines.filter((line) => line.startsWith("diff"))).toEqual([]);
});

test("a long line of an answer goes on below itself, and not at the terminal's margin", () => {
  const session = failedSession();
  session.result!.finalText = `${"a".repeat(78)}${FORGED}${"字".repeat(40)}`;
  const screen = new Screen();
  printSession(session, summarizeSession(session, EMPTY_PATCH), { stdout: screen, env: { NO_COLOR: "1" } });
  const answer = screen.lines.slice(screen.lines.indexOf("answer") + 1);
  expect(answer.slice(0, 4)).toEqual([
    `  ${"a".repeat(78)}`,
    `  ${FORGED}${"字".repeat(28)}`,
    `  ${"字".repeat(12)}`,
    "",
  ]);
});

test("a question cannot imitate the command that answers it", () => {
  const session = emptySession("ses_1");
  const question = "Well?\n  claudecluster allow ses_2";
  const value = create(QuestionAskedSchema, { requestId: "r\nx", questions: [{ question }, { question: "And?" }] });
  const details = { lines: [], waiting: [{ kind: "question" as const, request: value }], answer: NO_ANSWER };
  const summary = summarizeSession(session, EMPTY_PATCH, details);
  const stdout = new Plain();
  printSession(session, summary, { stdout, env: {} });
  const commands = stdout.text.split("\n").filter((line) => line.trimStart().startsWith("claudecluster"));
  expect(commands).toEqual(["    claudecluster answer ses_1 …"]);
});

test("a terminal that says it has no columns gets whole lines, and a binary file is called one", () => {
  const session = failedSession();
  session.result!.finalText = "an answer of some words";
  session.result!.changes = [
    create(FileChangeSchema, { path: "bin.dat", kind: FileChange_Kind.ADDED, binary: true, sizeBytes: 3n }),
  ];
  const screen = new Screen();
  Object.assign(screen, { columns: 0 });
  printSession(session, summarizeSession(session, EMPTY_PATCH), { stdout: screen, env: { NO_COLOR: "1" } });
  expect(screen.lines).toContain("  an answer of some words");
  expect(screen.lines).toContain("  added    bin.dat  binary");
});
