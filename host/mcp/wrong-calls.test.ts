import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { git } from "../../test/model/small-repository.ts";
import { connectInProcess } from "../../test/support/mcp-in-process.ts";
import {
  ContainerSpecSchema,
  PermissionRequestedSchema,
  QuestionAskedSchema,
  QuestionSchema,
  SessionSpecSchema,
} from "../../proto/index.ts";
import { rightArguments, rightForm } from "./right-form.ts";

type Schema = Parameters<typeof rightForm>[0];
type Arguments = Record<string, unknown>;

const sessions = new MemorySessions();
const stack = new AsyncDisposableStack();
const root = await mkdtemp(join(tmpdir(), "wrong-calls-"));
await git(root, "init", "-q", "project");
const project = { directory: join(root, "project"), stateDirectory: join(root, "state") };
const client = stack.use(await connectInProcess({ sessions, project }));
const { tools } = await client.listTools();
stack.defer(() => rm(root, { recursive: true }));
afterAll(async () => {
  await stack.disposeAsync();
  sessions[Symbol.dispose]();
});

async function refusal(name: string, args: Arguments): Promise<string> {
  const result = await client.callTool({ name, arguments: args });
  const { text } = result.content[0] as { text: string };
  expect(result.isError, text).toBe(true);
  return text;
}

/** What is right for a tool, but that there is no such session. Of two that exclude each other it has the one that is given. */
function rightFor(tool: string, member?: string): Arguments {
  const { inputSchema } = tools.find(({ name }) => name === tool)!;
  const right = rightArguments({}, new Set(), inputSchema as Schema);
  if (tool === "spawn_claude_container" && member !== "tasks") right["task"] = "x";
  if (tool === "wait_session" && member !== "session_ids") right["session_id"] = "ses_…";
  return right;
}

/** What a model gives in place of a value of this kind that nobody can take for one. */
function wrongValues(schema: Schema): unknown[] {
  if (schema.anyOf !== undefined) return [{ a: 1 }, ["a", "b"], "some of it", 1.5];
  if (schema.enum !== undefined) return ["none of these", 17, { a: 1 }];
  switch (schema.type) {
    case "string":
      return [{ a: 1 }, ["a", "b"], 1.5];
    case "number":
    case "integer":
      return ["many", { a: 1 }, [1, 2], true, ...outside(schema)];
    case "boolean":
      return ["perhaps", 2, { a: 1 }, ["true", "false"]];
    case "array":
      return ["a, b", { a: 1 }, [{ a: 1 }], [null], 1.5, "[not JSON"];
    case "object":
      return ["a=1", ["a"], 7, "{not JSON", ...(hasType(schema.additionalProperties) ? [{ A: { b: 1 } }] : [])];
    default:
      throw new Error(`No wrong values are known for ${JSON.stringify(schema)}.`);
  }
}

function hasType(schema: Schema["additionalProperties"]): boolean {
  return typeof schema === "object" && schema.type !== undefined;
}

function outside({ minimum, maximum, exclusiveMinimum }: Schema): number[] {
  return [
    ...(minimum === undefined ? [] : [minimum - 1]),
    ...(exclusiveMinimum === undefined ? [] : [exclusiveMinimum]),
    ...(maximum === undefined || maximum > 1e9 ? [] : [maximum + 1]),
  ].map(Number);
}

/** Every member of every tool, so that a tool that is added is looked at as well. */
const members = tools.flatMap(({ name, inputSchema }) =>
  Object.entries(inputSchema.properties ?? {}).map(([member, schema]) => ({
    tool: name,
    member,
    schema: schema as Schema,
    required: inputSchema.required?.includes(member) ?? false,
  })),
);

/** The refusal names the tool and the member, and ends with arguments that have its schema's form. */
function expectsHelp(text: string, { tool, member }: { tool: string; member: string }): void {
  expect(text).toContain(`for tool ${tool}: `);
  expect(text).toMatch(new RegExp(`\\b${member}\\b`));
  const right = JSON.parse(/Right would be: (\{.*\})$/.exec(text)?.[1] ?? "null") as Arguments | null;
  expect(right, text).toHaveProperty(member);
}

test.each(members)("$tool: what $member cannot be is refused by its name, with a call that is right", async (each) => {
  const { tool, member, schema } = each;
  for (const value of wrongValues(schema)) {
    expectsHelp(await refusal(tool, { ...rightFor(tool, member), [member]: value }), each);
  }
});

test.each(members.filter(({ required }) => required))(
  "$tool: that $member is missing, null, or has a typing mistake is said by its name",
  async (each) => {
    const { tool, member } = each;
    const { [member]: value, ...others } = rightFor(tool);
    for (const args of [others, { ...others, [member]: null }, { ...others, [`${member}x`]: value }]) {
      expectsHelp(await refusal(tool, args), each);
    }
  },
);

test.each(members)(
  "$tool: a typing mistake in $member is answered with that name",
  async ({ tool, member, schema }) => {
    const wrong = `${member}${member.at(-1)}`;
    const text = await refusal(tool, { ...rightFor(tool, member), [wrong]: rightForm(schema, member) });
    expect(text).toContain(`There is no argument "${wrong}". Did you mean ${member}?`);
  },
);

// What these two are right for is not refused.
const refusing = members.filter(({ tool }) => tool !== "spawn_claude_container" && tool !== "list_sessions");

test.each(refusing)("$tool: the form of $member that a refusal shows is one that it takes", async (each) => {
  const { tool, member, schema } = each;
  const text = await refusal(tool, { ...rightFor(tool, member), [member]: rightForm(schema, member) });
  expect(text).not.toContain("Invalid arguments");
});

/** Tools that name one session or more. */
const naming = members.filter(({ member }) => /^session_ids?$|^continue_session$|^after$/.test(member));

describe.each(naming)("$tool: $member", ({ tool, member, schema }) => {
  const call = (id: string) =>
    refusal(tool, { ...rightFor(tool, member), [member]: schema.type === "array" ? [id, `${id}0`] : id });

  test.each(["ses_nothing", "7", "…zzzz", "ses_01JZ0000000000000000000000", "../../etc", "x".repeat(5000)])(
    "of a session that is not there it names the call that shows those that are (%#)",
    async (id) => {
      const text = await call(id);
      expect(text).toMatch(/^(SESSION_NOT_FOUND|NOTHING_TO_UNDO): /);
      expect(text).toContain("list_sessions");
      expect(text.length).toBeLessThan(500);
    },
  );

  test("a part of an id that may be several names them", async () => {
    const made = await Promise.all([1, 2].map(() => newSession()));
    const text = await call(made[0]!.slice(0, 8));
    expect(text).toMatch(/^SESSION_AMBIGUOUS: .*ses_\w{26}, ses_\w{26}/);
    expect(text).toContain("Give more of the id");
  });
});

async function newSession(): Promise<string> {
  const spec = create(SessionSpecSchema, { task: "x" });
  return (await sessions.create({ spec, container: create(ContainerSpecSchema) })).id;
}

describe("in a state that is not for it", () => {
  let live = "";
  let over = "";
  let waiting = "";
  beforeAll(async () => {
    [live, over, waiting] = (await Promise.all([1, 2, 3].map(newSession))) as [string, string, string];
    sessions.finish(over);
    const question = create(QuestionSchema, { question: "Which?" });
    const permission = create(PermissionRequestedSchema, { requestId: "p", toolName: "Bash" });
    sessions.say(
      waiting,
      { case: "permissionRequested", value: permission },
      { case: "questionAsked", value: create(QuestionAskedSchema, { requestId: "q", questions: [question] }) },
      {
        case: "permissionRequested",
        value: create(PermissionRequestedSchema, { requestId: "made", toolName: "Bash" }),
      },
    );
    await sessions.decide(waiting, { requestId: "made", allow: true });
  });

  const here = () => ({ live, over, waiting });
  type Case = [tool: string, args: (ids: ReturnType<typeof here>) => Arguments, answer: RegExp];
  const answers = [["yes"]];
  test.each<Case>([
    ["send_message", ({ over: session_id }) => ({ session_id, message: "m" }), /SESSION_OVER.*continue_session/],
    ["interrupt_session", ({ over: session_id }) => ({ session_id }), /SESSION_OVER.*get_session/],
    ["interrupt_session", ({ live: session_id }) => ({ session_id }), /TURN_NOT_RUNNING.*send_message.*stop_session/],
    [
      "decide_permission",
      ({ live: session_id }) => ({ session_id, request_id: "x", allow: true }),
      /DECISION_UNKNOWN.*get_session/,
    ],
    [
      "decide_permission",
      ({ waiting: session_id }) => ({ session_id, request_id: "q", allow: true }),
      /DECISION_MISMATCH.*answer_question/,
    ],
    [
      "decide_permission",
      ({ waiting: session_id }) => ({ session_id, request_id: "made", allow: false }),
      /DECISION_MADE.*get_session/,
    ],
    [
      "answer_question",
      ({ waiting: session_id }) => ({ session_id, request_id: "p", answers }),
      /DECISION_MISMATCH.*decide_/,
    ],
    [
      "answer_question",
      ({ waiting: session_id }) => ({ session_id, request_id: "q", answers: [["a"], ["b"]] }),
      /ANSWER_INVALID.*2 answers.*1 question.*\[\["yes"\]\]/,
    ],
    ["apply_changes", ({ live: session_id }) => ({ session_id }), /SESSION_NOT_FINISHED.*wait_session.*stop_session/],
    ["apply_changes", ({ over: session_id }) => ({ session_id }), /NOTHING_TO_APPLY.*get_session/],
    [
      "apply_changes",
      ({ over: session_id }) => ({ session_id, commits: true, worktree: true }),
      /COMMITS_NOT_APPLIED.*without worktree/,
    ],
    ["apply_changes", ({ over: session_id }) => ({ session_id, paths: ["../x"] }), /PATH_OUTSIDE.*src\/a\.ts/],
    ["compare_sessions", ({ live: one, over }) => ({ session_ids: [one, over] }), /SESSION_NOT_FINISHED.*wait_session/],
    ["undo_changes", () => ({}), /NOTHING_TO_UNDO.*list_sessions/],
    ["list_sessions", () => ({ page_token: "p2" }), /PAGE_TOKEN_INVALID.*without page_token/],
    ["wait_session", () => ({}), /Give session_id or session_ids\. Right would be: \{"session_id":"ses_…"\}/],
    [
      "wait_session",
      ({ live: session_id }) => ({ session_id, session_ids: [session_id] }),
      /Give session_id or session_ids, not both\. Right would be: \{"session_id":"ses_\w+"\}/,
    ],
    ["spawn_claude_container", () => ({}), /Give task or tasks\. Right would be: \{"task":"…"\}/],
    ["spawn_claude_container", () => ({ task: "x", tasks: ["y"] }), /not both\. Right would be: \{"task":"x"\}/],
    ["spawn_claude_container", () => ({ tasks: ["x"], attempts: 2 }), /LIMIT_INVALID.*task in place of tasks/],
    ["spawn_claude_container", () => ({ task: " " }), /TASK_EMPTY.*task/],
    ["spawn_claude_container", () => ({ task: "x", memory: "much" }), /MEMORY_INVALID.*"512m"/],
    ["spawn_claude_container", () => ({ task: "x", timeout_seconds: 1e12 }), /TIMEOUT_INVALID.*timeout_seconds.*86400/],
    ["spawn_claude_container", () => ({ task: "x", repository: "./nowhere" }), /REPOSITORY_PATH_NOT_FOUND.*directory/],
    ["spawn_claude_container", () => ({ task: "x", repository: ".", ref: "main" }), /REF_OF_DIRECTORY.*Leave ref out/],
    ["spawn_claude_container", () => ({ task: "x", repository: "none", ref: "main" }), /REF_WITHOUT_REPOSITORY.*ref/],
    ["spawn_claude_container", () => ({ task: "x", repository: "none", include: [".env"] }), /INCLUDE_NOT_LOCAL/],
    ["spawn_claude_container", () => ({ task: "x", repository: "ftp://a/b" }), /REPOSITORY_URI_INVALID.*https/],
    ["spawn_claude_container", () => ({ task: "x", check_timeout_seconds: 5 }), /COMMAND_INVALID.*check/],
    ["spawn_claude_container", () => ({ task: "x", allowed_destinations: ["*.com"] }), /DESTINATION_INVALID.*files\./],
    [
      "spawn_claude_container",
      ({ live, over }) => ({ task: "x", continue_session: over, after: live }),
      /PREVIOUS_SESSION_INVALID.*continue_session or after/,
    ],
  ])("%s %s says what to do instead", async (tool, args, answer) => {
    expect(await refusal(tool, args(here()))).toMatch(answer);
  });
});
