import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { AgentService, Session_State as State, type SessionSpecSchema } from "../../../proto/index.ts";
import { refused } from "../call-failed.ts";
import type { Check } from "../check.ts";

const { method } = AgentService;

/** Each is wrong in one way. */
const WRONG_SPECS: readonly (readonly [reason: string, spec: MessageInitShape<typeof SessionSpecSchema>])[] = [
  ["TASK_EMPTY", { task: " " }],
  ["PERMISSION_MODE_UNKNOWN", { task: "x", permissionMode: "everything" }],
  ["MODEL_INVALID", { task: "x", model: "--model" }],
  ["TOOL_INVALID", { task: "x", allowedTools: ["--dangerous"] }],
  ["STEP_COUNT_INVALID", { task: "x", maxStepCount: -1 }],
  ["TIMEOUT_INVALID", { task: "x", timeout: durationFromMs(2 * 24 * 60 * 60 * 1000) }],
  ["IDLE_TIMEOUT_INVALID", { task: "x", idleTimeout: durationFromMs(-1000) }],
  ["ENVIRONMENT_RESERVED", { task: "x", environment: { ANTHROPIC_API_KEY: "no" } }],
  ["ENVIRONMENT_INVALID", { task: "x", environment: { "A B": "no" } }],
  ["REPOSITORY_URI_INVALID", { task: "x", repository: { uri: "file:///etc" } }],
  ["REPOSITORY_URI_CREDENTIALS", { task: "x", repository: { uri: "https://a:b@example.com/c" } }],
  ["REF_INVALID", { task: "x", repository: { uri: "https://example.com/c", ref: "--upload-pack=x" } }],
];

/** How a session is started, and which calls are about it. */
export const START: readonly Check[] = [
  {
    rule: "Every error is a gRPC status with one ErrorInfo.",
    needs: "unused",
    async run({ client }) {
      const { info, message } = await refused(
        client.call(method.getSession, { sessionId: "ses_unknown" }),
        "NOT_FOUND",
      );
      assert.ok(info !== undefined, "the status carries no ErrorInfo");
      assert.match(info.reason, /^[A-Z][A-Z0-9_]{0,62}$/, "reason");
      assert.equal(info.domain, "agent.claudecluster.dev", "domain");
      assert.ok(message.includes("ses_unknown") && Object.values(info.metadata).includes("ses_unknown"), "metadata");
    },
  },
  {
    rule: "Before StartSession every call about a session is NOT_FOUND, SESSION_NOT_FOUND.",
    needs: "unused",
    async run(bench) {
      const expected = ["NOT_FOUND", "SESSION_NOT_FOUND"] as const;
      await refused(bench.getSession(), ...expected);
      await refused(bench.readPatch(), ...expected);
      await refused(bench.watch().done, ...expected);
      await refused(bench.attach().done, ...expected);
    },
  },
  {
    rule: "An id or a spec that cannot work is INVALID_ARGUMENT, and starts nothing.",
    needs: "unused",
    async run({ client }) {
      const start = (sessionId: string, spec?: MessageInitShape<typeof SessionSpecSchema>) =>
        client.call(method.startSession, { sessionId, ...(spec && { spec }) });
      for (const sessionId of ["", "a b", "x".repeat(65), "../x"]) {
        await refused(start(sessionId, { task: "x" }), "INVALID_ARGUMENT", "SESSION_ID_INVALID");
      }
      await refused(start("ses_1"), "INVALID_ARGUMENT", "SPEC_MISSING");
      for (const [reason, spec] of WRONG_SPECS) await refused(start("ses_1", spec), "INVALID_ARGUMENT", reason);
      assert.equal((await client.call(method.getAgentInfo)).sessionId, "", "session_id in GetAgentInfo");
    },
  },
  {
    rule: "Repeated with the same id, StartSession answers with the session as it is.",
    needs: "finished",
    async run({ client }, { started }) {
      const { session } = await client.call(method.startSession, { sessionId: started.id, spec: { task: "Another." } });
      assert.equal(session?.id, started.id, "id");
      assert.equal(session?.spec?.task, started.spec?.task, "the task, which must be the first one");
      // The spec is not even looked at: a host that lost its answer may retry with what it has.
      await client.call(method.startSession, { sessionId: started.id });
      assert.equal((await client.call(method.getAgentInfo)).sessionId, started.id, "session_id in GetAgentInfo");
    },
  },
  {
    rule: "Another id is refused for the agent's whole life: FAILED_PRECONDITION, SESSION_EXISTS.",
    needs: "finished",
    async run({ client }) {
      const another = client.call(method.startSession, { sessionId: "ses_another", spec: { task: "x" } });
      await refused(another, "FAILED_PRECONDITION", "SESSION_EXISTS");
    },
  },
  {
    rule: "Of several ids that are started at once one gets the agent; the others are FAILED_PRECONDITION, SESSION_EXISTS.",
    needs: "own",
    async run(bench) {
      const other = bench.connect();
      const starting = [bench.client, other, bench.client, other].map((client, at) => {
        const request = { sessionId: `ses_${at}`, spec: { task: `[scenario: small-edit] ${at}` } };
        return { ...request, answer: client.call(method.startSession, request) };
      });
      const answers = await Promise.allSettled(starting.map(({ answer }) => answer));
      const given = starting.filter((_, at) => answers[at]!.status === "fulfilled");
      assert.equal(given.length, 1, "how many got it");
      const [{ sessionId, spec }] = given as [(typeof given)[0]];
      for (const { answer } of starting.filter((each) => each !== given[0])) {
        await refused(answer, "FAILED_PRECONDITION", "SESSION_EXISTS");
      }
      assert.equal((await bench.client.call(method.getAgentInfo)).sessionId, sessionId, "session_id in GetAgentInfo");
      const session = await bench.getSession();
      assert.deepEqual([session.id, session.spec?.task], [sessionId, spec.task]);
    },
  },
  {
    rule: "Connections may be accepted before there is a session, which then uses them.",
    needs: "own",
    async run(bench) {
      await bench.serve().accepted;
      assert.equal((await bench.client.call(method.getAgentInfo)).sessionId, "", "session_id in GetAgentInfo");
      await refused(bench.getSession(), "NOT_FOUND", "SESSION_NOT_FOUND");
      await bench.start("[scenario: small-edit]");
      await bench.attach().done;
      assert.equal((await bench.getSession()).state, State.SUCCEEDED);
    },
  },
  {
    rule: "PrepareSession answers once Claude is ready, without any connection; a session that fits has that Claude, another one its own.",
    needs: "own",
    capability: "prepare",
    async run(bench, another) {
      for (const [at, fits] of [
        [bench, true],
        [await another(), false],
      ] as const) {
        await at.client.call(method.prepareSession, { spec: { environment: { PREPARED: "1" } } });
        assert.equal((await at.client.call(method.getAgentInfo)).sessionId, "", "session_id in GetAgentInfo");
        await at.start("[scenario: small-edit]", { environment: { PREPARED: fits ? "1" : "2" } });
        at.serve();
        const owner = at.attach();
        await owner.done;
        const [ready] = owner.all("workspaceReady");
        assert.equal(ready?.claudePrepared, fits, "claude_prepared");
        assert.equal((await at.getSession()).state, State.SUCCEEDED);
      }
    },
  },
  {
    rule: "An agent is prepared once: a second time is FAILED_PRECONDITION, SESSION_PREPARED, after StartSession SESSION_EXISTS.",
    needs: "own",
    capability: "prepare",
    async run({ client }) {
      const prepare = () => client.call(method.prepareSession, { spec: {} });
      await prepare();
      await refused(prepare(), "FAILED_PRECONDITION", "SESSION_PREPARED");
      await client.call(method.startSession, { sessionId: "ses_1", spec: { task: "x" } });
      await refused(prepare(), "FAILED_PRECONDITION", "SESSION_EXISTS");
    },
  },
  {
    rule: "A call that names another session is NOT_FOUND.",
    needs: "finished",
    async run({ client }) {
      const sessionId = "ses_another";
      await refused(client.call(method.getSession, { sessionId }), "NOT_FOUND", "SESSION_NOT_FOUND");
      for (const streaming of [method.watchEvents, method.readChanges] as const) {
        await refused(drain(client.stream(streaming as typeof method.watchEvents, { sessionId })), "NOT_FOUND");
      }
    },
  },
];

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}
