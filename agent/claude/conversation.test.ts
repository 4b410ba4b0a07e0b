import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createLogger } from "../log.ts";
import { expect, onTestFinished, test } from "vitest";
import type { EventBody } from "../../proto/index.ts";
import { TIMEOUTS, type Timeouts } from "../timeouts.ts";
import type { TurnEnd } from "./claude-result.ts";
import { Conversation } from "./conversation.ts";
import type { PermissionRequest } from "./parse.ts";

const FAKE_CLAUDE = fileURLToPath(new URL("../../test/support/fake-claude.mjs", import.meta.url));
const never = new AbortController().signal;

interface Started {
  conversation: Conversation;
  events: EventBody[];
  /** What Claude has asked for, and the ids of what it has withdrawn. */
  asked: (PermissionRequest | string)[];
  /** Resolves at the end of the turn that these actions make. */
  turn(...actions: [name: string, value?: unknown][]): Promise<TurnEnd>;
}

interface Options {
  behavior?: string;
  timeouts?: Partial<Timeouts>;
  signal?: AbortSignal;
  roomy?: () => Promise<boolean>;
}

async function start({
  behavior = "",
  timeouts = {},
  signal = never,
  roomy = async () => true,
}: Options = {}): Promise<Started> {
  const events: EventBody[] = [];
  const asked: (PermissionRequest | string)[] = [];
  let turnEnded: (result: TurnEnd) => void = () => {};
  const conversation = await Conversation.start({
    command: process.execPath,
    args: [FAKE_CLAUDE, behavior],
    environment: { PATH: process.env["PATH"] ?? "", MARK: "1" },
    cwd: "/tmp",
    identity: undefined,
    timeouts: { ...TIMEOUTS, interruptMs: 300, exitMs: 300, terminateMs: 300, pipesMs: 200, ...timeouts },
    log: createLogger("silent"),
    emit: (event) => void events.push(event),
    roomy,
    onTurnEnd: (result) => turnEnded(result),
    onResult: () => {},
    onRetry: () => {},
    onPermissionRequest: (request) => void asked.push(request),
    onRequestCanceled: (requestId) => void asked.push(requestId),
    signal,
  });
  onTestFinished(async () => void (await conversation.kill()));
  return {
    conversation,
    events,
    asked,
    turn(...actions) {
      const ended = new Promise<TurnEnd>((resolve) => (turnEnded = resolve));
      conversation.say(JSON.stringify(actions));
      return ended;
    },
  };
}

function seen(events: EventBody[]): [kind: string, bytes: number][] {
  return events.map((event) => [event.case, Number("sizeBytes" in event.value ? event.value.sizeBytes : 0n)]);
}

test("takes one message after the other and ends when its input does", async () => {
  const { conversation, turn } = await start();
  expect(await turn(["result", "one"])).toMatchObject({ text: "one" });
  expect(await turn(["result", "two"])).toMatchObject({ text: "two" });
  expect(await conversation.end({ signal: never })).toEqual({ code: 0, signal: "", stderrTail: "" });
});

test("gives Claude its own environment and the usual file modes", async () => {
  const { turn } = await start();
  const { text } = await turn(["environment"]);
  const { env, umask } = JSON.parse(text) as { env: Record<string, string>; umask: number };
  // The shell that enters the directory adds two.
  expect(
    Object.keys(env)
      .filter((name) => !name.endsWith("PWD"))
      .toSorted(),
  ).toEqual(["MARK", "PATH"]);
  expect(umask).toBe(0o022);
});

test("says what a Claude wrote that died before it was ready", async () => {
  await expect(start({ behavior: "dies" })).rejects.toMatchObject({
    reason: "CLAUDE_NOT_STARTED",
    message: expect.stringContaining("Error: no native binary") as string,
    metadata: { exit_code: "3" },
  });
});

test("does not wait for ever for a Claude that says nothing, and ends it", async () => {
  await expect(start({ behavior: "silent", timeouts: { claudeReadyMs: 300 } })).rejects.toMatchObject({
    reason: "CLAUDE_NOT_READY",
  });
});

test("waits for a Claude that is slow for all that it has to compute", async () => {
  const { conversation } = await start({ behavior: "slow", timeouts: { claudeReadyMs: 1000 } });
  expect(conversation.exit).toBeUndefined();
});

test("does not take a refusal for readiness", async () => {
  await expect(start({ behavior: "refuses" })).rejects.toMatchObject({
    reason: "CLAUDE_NOT_READY",
    metadata: { error: "not today" },
  });
});

test("stops starting when it is told to, with that reason", async () => {
  const abort = new AbortController();
  const starting = start({ behavior: "silent", signal: abort.signal });
  abort.abort(new Error("stopped"));
  await expect(starting).rejects.toThrow("stopped");
});

test("interrupts a turn, and the next one works", async () => {
  const { conversation, turn } = await start();
  const first = turn();
  conversation.interrupt();
  expect(await first).toMatchObject({ isError: true });
  expect(await turn(["result", "fine"])).toMatchObject({ text: "fine" });
});

test("kills a Claude that does not care", async () => {
  const { conversation, turn } = await start({ behavior: "stubborn" });
  void turn(["line", "{}"]);
  const exit = await conversation.end({ signal: never });
  expect(exit).toMatchObject({ code: undefined, signal: "SIGKILL" });
});

test("waits for nothing when there is no time left", async () => {
  const { conversation } = await start({
    behavior: "stubborn",
    timeouts: { interruptMs: 60_000, exitMs: 60_000, terminateMs: 60_000 },
  });
  expect(await conversation.end({ signal: AbortSignal.abort() })).toMatchObject({ signal: "SIGKILL" });
});

test("says how Claude ended in the middle of a turn, with its last words", async () => {
  const { conversation, turn } = await start();
  void turn(["stderr", "out of luck\n"], ["exit", 7]);
  expect(await conversation.exited).toEqual({ code: 7, signal: "", stderrTail: "out of luck" });
  expect(conversation.busy).toBe(false);
});

test("does not wait for processes that Claude left behind with its output open", async () => {
  const { conversation, turn, events } = await start();
  void turn(["orphan"], ["line", "last words"], ["exit", 1]);
  expect(await conversation.exited).toMatchObject({ code: 1 });
  const lines = events.flatMap((event) =>
    event.case === "unrecognizedLine" ? [Buffer.from(event.value.line).toString()] : [],
  );
  expect(lines[1]).toBe("last words");
  // It was still there, or this would throw.
  process.kill((JSON.parse(lines[0]!) as { orphan: number }).orphan, "SIGKILL");
});

test("cuts a line above 16 MiB, says by how much, and goes on", async () => {
  const { turn, events } = await start();
  const count = 17 * 1024 * 1024;
  await turn(["bytes", { count, byte: 0x78 }], ["line", ""], ["result", "done"]);
  expect(seen(events)).toEqual([
    ["unrecognizedLine", 16 * 1024 * 1024],
    ["outputTruncated", 1024 * 1024],
  ]);
});

test("keeps what Claude writes to its standard error", async () => {
  const { conversation, turn, events } = await start();
  await turn(["stderr", "a warning"], ["result", "done"]);
  await conversation.end({ signal: never });
  const [event] = events;
  expect(Buffer.from((event as Extract<EventBody, { case: "stderrOutput" }>).value.data).toString()).toBe("a warning");
});

test("does not read on while there is no room, and loses nothing once there is", async () => {
  let open = Promise.withResolvers<boolean>();
  open.resolve(true);
  const { conversation, turn, events } = await start({ roomy: () => open.promise });
  open = Promise.withResolvers();
  const ended = turn(["lines", { count: 20_000, length: 100 }], ["result", "done"], ["exit", 0]);
  // The process itself is held up: its output does not fit into pipe and buffer.
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(events).toEqual([]);
  open.resolve(true);
  expect(await ended).toMatchObject({ text: "done" });
  await conversation.exited;
  expect(events).toHaveLength(20_000);
});

test("keeps the sense of what it has no room to tell, and says how much it was", async () => {
  const { conversation, turn, events } = await start({ roomy: async () => false });
  expect(await turn(["lines", { count: 10, length: 100 }], ["result", "done"])).toMatchObject({ text: "done" });
  await conversation.end({ signal: never });
  const [[kind, bytes]] = seen(events) as [[string, number]];
  expect(kind).toBe("outputTruncated");
  expect(bytes).toBeGreaterThan(1000);
  expect(events).toHaveLength(1);
});

test("passes on what Claude asks permission for, and answers in Claude's way", async () => {
  const { conversation, turn, asked } = await start();
  const ask = (request_id: string) => {
    const request = { subtype: "can_use_tool", tool_name: "Bash", tool_use_id: "t1", input: { command: "ls" } };
    return ["line", { type: "control_request", request_id, request }] as [string, unknown];
  };
  await turn(ask("r1"), ask("r2"), ["line", { type: "control_cancel_request", request_id: "r2" }], ["result", ""]);
  expect(asked).toEqual([
    { requestId: "r1", toolName: "Bash", toolUseId: "t1", description: "", input: { command: "ls" }, suggestions: [] },
    expect.objectContaining({ requestId: "r2" }),
    "r2",
  ]);
  const answered = turn(["answer"]);
  conversation.permit("r1", { command: "ls -a" });
  expect(JSON.parse((await answered).text)).toEqual({
    subtype: "success",
    request_id: "r1",
    response: { behavior: "allow", updatedInput: { command: "ls -a" } },
  });
  const denied = turn(["answer"]);
  conversation.deny("r2", "no");
  expect(JSON.parse((await denied).text)).toMatchObject({ response: { behavior: "deny", message: "no" } });
});

test("refuses what nobody here can answer", async () => {
  const { turn } = await start();
  const request = { type: "control_request", request_id: "r1", request: { subtype: "elicitation" } };
  await turn(["line", request], ["result", "done"]);
  expect(await turn(["result", "still there"])).toMatchObject({ text: "still there" });
});

/** What Claude Code said in a recorded turn, as it was. */
function recorded(name: string): [name: string, value?: unknown][] {
  const file = new URL(`../../test/model/recordings/${name}.jsonl`, import.meta.url);
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  return lines.filter((line) => !line.includes('"control_response"')).map((line) => ["line", line]);
}

const CUT = "This answer ends before its";

test.each([
  ["multi-file-change", expect.stringMatching(/^.+$/)],
  ["quiet-end", "The answer is 42."],
  ["two-blocks", "The first half.\n\nThe second half."],
  ["stop-reason-max-tokens", `${CUT}I had been cut short; this is the rest.`],
  ["stop-reason-max-tokens-always", CUT.repeat(4)],
  ["stop-reason-refusal", "I had been cut short; this is the rest."],
  ["stop-reason-refusal-always", ""],
  ["no-answer", ""],
  ["background-task", "The background command is done."],
  ["cut-off", "The API answered after all."],
])("the answer of %s is all that was said for it, and nothing else", async (name, answer) => {
  const { turn } = await start();
  expect((await turn(...recorded(name))).answer).toEqual(answer);
});

test("says what kind of error a turn ended with", async () => {
  const { turn } = await start();
  expect(await turn(...recorded("stop-reason-max-tokens-always"))).toMatchObject({ errorKind: "max_output_tokens" });
  expect(await turn(...recorded("quiet-end"))).toMatchObject({ errorKind: "" });
});
