import assert from "node:assert/strict";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { AttachStart_Role as Role, Decider, Session_State as State } from "../../../proto/index.ts";
import type { Check } from "../check.ts";

const capability = "decisions";
const touch = (file: string) => ({ name: "Bash", input: { command: `touch ${file}`, description: "Make a file" } });
const calls = (...list: unknown[]) => `[scenario: call-tools ${JSON.stringify(list)}]`;
const asking = { permissionMode: "default" };

/** What somebody outside decides for Claude. */
export const DECISIONS: readonly Check[] = [
  {
    rule: "What the permission mode does not allow is asked for: after permission_requested the session is WAITING until permission_decided.",
    needs: "own",
    capability,
    async run(bench) {
      await bench.start(calls(touch("allowed"), touch("denied")), asking);
      const owner = bench.attach();
      bench.serve();
      const first = await owner.event("permissionRequested");
      assert.equal(first.toolName, "Bash");
      assert.equal((await bench.getSession()).state, State.WAITING);
      owner.send({ case: "permissionDecision", value: { requestId: first.requestId, allow: true } });
      const { requestId } = await owner.event("permissionRequested", (next) => next.requestId !== first.requestId);
      owner.send({ case: "permissionDecision", value: { requestId, allow: false, message: "Not that one." } });
      await owner.done;
      const decided = owner.all("permissionDecided").map(({ allowed, decider }) => [allowed, Decider[decider]]);
      assert.deepEqual(decided, [
        [true, "CALLER"],
        [false, "CALLER"],
      ]);
      assert.ok(owner.all("toolUseFinished").some(({ output }) => output.includes("Not that one.")));
      const { state, result } = await bench.getSession();
      assert.equal(state, State.SUCCEEDED);
      assert.deepEqual(
        result?.changes.map(({ path }) => path),
        ["allowed"],
      );
    },
  },
  {
    rule: "The first decision counts: a later one is refused with DECISION_MADE, one that nobody asked for with DECISION_UNKNOWN.",
    needs: "own",
    capability,
    async run(bench) {
      await bench.start(calls(touch("made")), asking);
      const owner = bench.attach();
      const observer = bench.attach({ role: Role.OBSERVER });
      bench.serve();
      const { requestId } = await observer.event("permissionRequested");
      const decide = (id: string) => ({ case: "permissionDecision", value: { requestId: id, allow: true } }) as const;
      observer.send(decide(requestId));
      await observer.until("a refusal", () => observer.refusals[0]);
      for (const id of ["no-such-request", requestId, requestId]) owner.send(decide(id));
      await owner.done;
      const refusals = [...observer.refusals, ...owner.refusals].map(({ reason, refusedId }) => [reason, refusedId]);
      assert.deepEqual(refusals, [
        ["ROLE_INSUFFICIENT", requestId],
        ["DECISION_UNKNOWN", "no-such-request"],
        ["DECISION_MADE", requestId],
      ]);
      assert.equal(owner.all("permissionDecided").length, 1, "number of permission_decided");
    },
  },
  {
    rule: "What nobody decides within decision_timeout is denied, a question is left to Claude, and the session goes on.",
    needs: "own",
    capability,
    async run(bench) {
      const ask = { name: "AskUserQuestion", input: { questions: [question("Which color?")] } };
      await bench.start(calls(touch("made"), ask), { ...asking, decisionTimeout: durationFromMs(1000) });
      const owner = bench.attach();
      bench.serve();
      await owner.done;
      assert.deepEqual(
        owner.all("permissionDecided").map(({ allowed, decider }) => [allowed, Decider[decider]]),
        [[false, "TIMEOUT"]],
      );
      assert.deepEqual(
        owner.all("questionAnswered").map(({ answers, decider }) => [answers.length, Decider[decider]]),
        [[0, "TIMEOUT"]],
      );
      assert.equal((await bench.getSession()).state, State.SUCCEEDED);
    },
  },
  {
    rule: "Claude's questions come as question_asked; an answer that does not fit is refused with ANSWER_INVALID, and Claude gets one that does.",
    needs: "own",
    capability,
    async run(bench) {
      const questions = [question("Which color?"), question("Which size?")];
      await bench.start(calls({ name: "AskUserQuestion", input: { questions } }));
      const owner = bench.attach();
      bench.serve();
      const asked = await owner.event("questionAsked");
      assert.deepEqual(
        asked.questions.map((each) => each.question),
        ["Which color?", "Which size?"],
      );
      const answer = (...values: string[]) =>
        ({
          case: "answer",
          value: { requestId: asked.requestId, answers: values.map((value) => ({ values: [value] })) },
        }) as const;
      owner.send(answer("green"));
      owner.send(answer("green", "one"));
      await owner.done;
      assert.deepEqual(
        owner.refusals.map(({ reason }) => reason),
        ["ANSWER_INVALID"],
      );
      const { result } = await bench.getSession();
      assert.match(result?.finalText ?? "", /Which color\?.*green/, "what Claude knows then");
    },
  },
];

function question(text: string) {
  const options = ["one", "two"].map((label) => ({ label, description: `It is ${label}` }));
  return { question: text, header: "Choice", options, multiSelect: false };
}
