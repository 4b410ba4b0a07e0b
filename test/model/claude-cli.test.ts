import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { startClaude, type Claude, type ClaudeOptions, type Line } from "./claude-cli.ts";
import { git } from "./small-repository.ts";
import { startScriptedModel } from "./scripted-model.ts";
import { sortBetas } from "../../host/broker/model/model-betas.ts";

interface Played extends AsyncDisposable {
  readonly claude: Claude;
  readonly result: Line | undefined;
  readonly scenarios: readonly (string | undefined)[];
  /** Of each request, whether it asked for a stream. */
  readonly streams: readonly unknown[];
  /** All betas that were asked for, with commas between them. */
  readonly betas: string;
}

/** Plays one task with the real CLI to the end of its process. */
async function play(task: string, options: Partial<ClaudeOptions> = {}): Promise<Played> {
  await using cleanup = new AsyncDisposableStack();
  const model = cleanup.use(await startScriptedModel({ key: "sk-ant-scripted" }));
  const claude = cleanup.use(await startClaude({ url: model.url, ...options }));
  claude.send(task);
  claude.end();
  await claude.exited;
  const kept = cleanup.move();
  return {
    claude,
    result: claude.lines.findLast(({ type }) => type === "result"),
    scenarios: model.requests.map(({ scenario }) => scenario),
    streams: model.requests.map(({ body }) => (body as { stream?: unknown }).stream),
    betas: model.requests.map(({ headers }) => headers["anthropic-beta"]).join(","),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const text = (value: unknown): string => JSON.stringify(value);
const toolResults = (claude: Claude): Line[] =>
  claude.lines.filter((line) => line["type"] === "user" && "tool_use_result" in line);
const retries = (claude: Claude): Line[] => claude.lines.filter(({ subtype }) => subtype === "api_retry");

describe("changes", () => {
  it("multi-file-change edits, creates and deletes files", async () => {
    await using played = await play("[scenario: multi-file-change]");
    expect(played.result).toMatchObject({ subtype: "success", is_error: false, num_turns: 10 });
    expect((await git(played.claude.workspace, "status", "--porcelain", "-uall")).split("\n")).toEqual([
      " M README.md",
      " M src/greet.js",
      " D src/legacy.js",
      "?? bin/greet",
      "?? src/languages.js",
      "?? test/languages.test.js",
      "",
    ]);
    expect(new Set(played.scenarios)).toEqual(new Set(["multi-file-change"]));
  });

  it("a task without a marker makes a small edit, a follow-up the next one", async () => {
    await using model = await startScriptedModel();
    await using claude = await startClaude({ url: model.url });
    claude.send("be kinder");
    await claude.result(1);
    claude.send("and shorter");
    await claude.result(2);
    expect(await readFile(join(claude.workspace, "NOTES.md"), "utf8")).toBe("# Notes\n\n- be kinder\n- and shorter\n");
  });

  it("write-files keeps to its prefix and content, by either way", async () => {
    await using played = await play(`[scenario: write-files count=2 prefix=deep/a via=bash content="it's $HOME"]`);
    expect(await readFile(join(played.claude.workspace, "deep/a-002.txt"), "utf8")).toBe("it's $HOME 002\n");
  });

  it("long-run takes the time it was asked for", async () => {
    await using played = await play("[scenario: long-run seconds=3 steps=3]");
    expect(Number(played.result?.["duration_ms"])).toBeGreaterThan(2900);
    expect(await git(played.claude.workspace, "status", "--porcelain", "-uall")).toBe(
      "?? progress/log.txt\n?? progress/step-002.md\n",
    );
  });

  it("failing-command goes on after exit code 3", async () => {
    await using played = await play("[scenario: failing-command]");
    expect(toolResults(played.claude)[0]?.["tool_use_result"]).toBe(
      "Error: Exit code 3\nrunning checks\ncheck failed: 1 of 2",
    );
    expect(played.result).toMatchObject({ is_error: false });
  });
});

describe("odd and large output", () => {
  it("huge-edit makes one line of more than 3 MB", async () => {
    await using played = await play("[scenario: huge-edit]");
    expect(Math.max(...played.claude.raw.map((line) => line.length))).toBeGreaterThan(3_200_000);
    expect(played.result).toMatchObject({ is_error: false });
    expect(await readFile(join(played.claude.workspace, "huge.txt"), "utf8")).toContain("the slow brown fox");
  });

  it("long-answer appears twice, whole", async () => {
    await using played = await play("[scenario: long-answer]");
    expect(played.claude.raw.filter((line) => line.length > 2_000_000)).toHaveLength(2);
  });

  it("output-flood is cut by the CLI", async () => {
    await using played = await play("[scenario: output-flood megabytes=30]");
    expect(text(toolResults(played.claude)[0])).toMatch(/<persisted-output>.*Output too large \(29\.\dMB\)/);
  });

  it("invalid-utf8 leaves odd names behind", async () => {
    await using played = await play("[scenario: invalid-utf8]");
    expect(text(toolResults(played.claude)[0])).toContain("caf\uFFFD \uFFFD\uFFFD bell\\u0007 \\u001b[31mred");
    const names = (await git(played.claude.workspace, "status", "--porcelain", "-uall", "-z")).split("\0");
    expect(names).toContain("?? odd \xff name.txt");
    expect(names).toContain("?? new\nline.txt");
    expect(names).toContain("?? -rf");
  });

  it("env-probe shows what Claude Code gives its shell", async () => {
    await using played = await play("[scenario: env-probe into=probe.txt]");
    const probe = await readFile(join(played.claude.workspace, "probe.txt"), "utf8");
    expect(probe).toContain("ANTHROPIC_API_KEY=sk-ant-scripted");
    expect(probe).toMatch(/\/proc\/\d+: .*claude.* --output-format stream-json/);
  });
});

describe("endings", () => {
  it("crash ends without a result, by KILL", async () => {
    await using played = await play("[scenario: crash]");
    expect([await played.claude.exited, played.result]).toEqual([{ code: null, signal: "SIGKILL" }, undefined]);
  });

  it("silent-exit ends without a result, with 143", async () => {
    await using played = await play("[scenario: silent-exit]");
    expect([await played.claude.exited, played.result]).toEqual([{ code: 143, signal: null }, undefined]);
  });

  it("hang waits until it is interrupted, and another turn works", async () => {
    await using model = await startScriptedModel();
    await using claude = await startClaude({ url: model.url });
    claude.send("[scenario: hang events=5]");
    await expect.poll(() => model.requests.at(-1)?.scenario, { timeout: 10_000 }).toBe("hang");
    claude.interrupt();
    expect(await claude.result(1)).toMatchObject({
      subtype: "error_during_execution",
      is_error: true,
      terminal_reason: "aborted_streaming",
    });
    claude.send("[scenario: write-files count=1]");
    expect(await claude.result(2)).toMatchObject({ subtype: "success" });
  });

  it("slow-stream is cut by an interrupt, and what was said stays", async () => {
    await using model = await startScriptedModel();
    await using claude = await startClaude({ url: model.url, arguments: ["--include-partial-messages"] });
    claude.send("[scenario: slow-stream seconds=60 interval-ms=20]");
    await claude.line((line) => text(line).includes("tick 000010"));
    claude.interrupt();
    expect(text(await claude.line(({ aborted }) => aborted === true))).toContain("tick 000010");
  });

  it("background-task gives two results", async () => {
    await using played = await play("[scenario: background-task seconds=1]");
    const results = played.claude.lines.filter(({ type }) => type === "result");
    expect(results).toMatchObject([
      { result_index: 0 },
      { result_index: 1, origin: { kind: "task-notification" }, result: "The background command is done." },
    ]);
  });

  it("stop-reason max_tokens makes Claude Code go on by itself", async () => {
    await using played = await play("[scenario: stop-reason]");
    expect(
      played.claude.lines.some((line) => line["isSynthetic"] === true && text(line).includes("Output token limit hit")),
    ).toBe(true);
    expect(played.result).toMatchObject({ is_error: false, result: "I had been cut short; this is the rest." });
  });

  it("a message sent meanwhile joins the turn: one result for both", async () => {
    await using model = await startScriptedModel();
    await using claude = await startClaude({ url: model.url });
    claude.send("[scenario: long-run seconds=3 steps=2]");
    await claude.line((line) => text(line).includes('"tool_use"'));
    claude.send("[scenario: write-files count=1 prefix=meanwhile]");
    claude.end();
    await claude.exited;
    expect(claude.lines.filter(({ type }) => type === "result")).toMatchObject([
      { result: "Wrote 1 files with prefix meanwhile." },
    ]);
  });
});

describe("API errors", () => {
  it.each([
    ["400", "unknown"],
    ["403", "authentication_failed"],
    ["404", "model_not_found"],
  ])("%s ends the turn at once", async (status, error) => {
    await using played = await play(`[scenario: api-error status=${status}]`);
    expect(played.result).toMatchObject({
      subtype: "success",
      is_error: true,
      terminal_reason: "api_error",
      api_error_status: Number(status),
    });
    expect(played.claude.lines.find(({ type }) => type === "assistant")).toMatchObject({
      error,
      is_api_error_message: true,
    });
    expect([(await played.claude.exited).code, retries(played.claude)]).toEqual([1, []]);
  });

  it("401 is retried", async () => {
    await using played = await play("hello", { key: "wrong", environment: { CLAUDE_CODE_MAX_RETRIES: "1" } });
    expect(retries(played.claude)).toMatchObject([
      { attempt: 1, max_retries: 1, error_status: 401, error: "authentication_failed" },
    ]);
    expect(played.result).toMatchObject({ is_error: true, api_error_status: 401 });
  });

  it.each([
    ["status=429 retry-after=1", 429, "rate_limit"],
    ["status=500", 500, "server_error"],
    ["status=529 step=2", 529, "overloaded"],
    ["status=reset", null, "unknown"],
    ["status=drop", null, "unknown"],
  ])("%s is retried and then succeeds", async (parameters, error_status, error) => {
    await using played = await play(`[scenario: api-error ${parameters} times=1]`);
    expect(retries(played.claude)).toMatchObject([{ attempt: 1, error_status, error }]);
    expect(played.result).toMatchObject({ is_error: false, result: "The API answered after all." });
    expect(await readFile(join(played.claude.workspace, "api-error.txt"), "utf8")).toBe("hello\n");
  });

  it.each(["stream-error", "drop"])("%s after a finished block makes Claude Code ask for the rest", async (status) => {
    await using played = await play(`[scenario: api-error status=${status} events=5 times=1]`);
    expect(
      played.claude.lines.some((line) => line["isSynthetic"] === true && text(line).includes("cut off mid-stream")),
    ).toBe(true);
    expect(await readFile(join(played.claude.workspace, "api-error.txt"), "utf8")).toBe("hello\n");
  });

  it("stream-error before that makes it ask again without a stream, and without a word", async () => {
    await using played = await play("[scenario: api-error status=stream-error times=1]");
    expect(played.streams).toEqual([true, false, true]);
    expect(retries(played.claude)).toEqual([]);
    expect(played.result).toMatchObject({ is_error: false, result: "The API answered after all." });
  });
});

describe("tools of others", () => {
  const server = fileURLToPath(new URL("echo-mcp-server.ts", import.meta.url));
  const config = JSON.stringify({
    mcpServers: { claudecluster: { type: "stdio", command: process.execPath, args: [server] } },
  });

  it("spawn-child loads the tool, calls it, and reports its result", async () => {
    const input = { task: 'do "this" [scenario: multi-file-change]', files: ["a"] };
    await using played = await play(`[scenario: spawn-child ${JSON.stringify(input)}]`, {
      arguments: ["--mcp-config", config],
    });
    expect(played.result?.["result"]).toBe(
      `The result is:\nses_01JD0000000000000000000000 got ${JSON.stringify(input)}`,
    );
  });

  it("call-tools fills in the session of an earlier call", async () => {
    const spawn = { name: "mcp__claudecluster__spawn_claude_container", input: { task: "{{session}}" } };
    await using played = await play(`[scenario: call-tools ${JSON.stringify([spawn, spawn])}]`, {
      arguments: ["--mcp-config", config],
    });
    expect(played.result?.["result"]).toContain('got {"task":"ses_01JD0000000000000000000000"}');
  });

  it("call-tools starts a subagent that plays a scenario of its own, and neither asks for a beta that is left out", async () => {
    const agent = {
      name: "Agent",
      input: {
        description: "Write",
        subagent_type: "general-purpose",
        prompt: "[scenario: write-files count=1 prefix=sub]",
      },
    };
    await using played = await play(`[scenario: call-tools ${JSON.stringify([agent])}]`);
    expect(await readFile(join(played.claude.workspace, "sub-001.txt"), "utf8")).toBe("content 001\n");
    const { passed, left } = sortBetas(played.betas, []);
    expect([passed.length > 0, left]).toEqual([true, []]);
  });

  it("ask-question asks over the pipe and reports the answer", async () => {
    await using model = await startScriptedModel();
    await using claude = await startClaude({ url: model.url, arguments: ["--permission-prompt-tool", "stdio"] });
    claude.send("[scenario: ask-question question=Which?]");
    const asked = await claude.line(({ type }) => type === "control_request");
    const request = asked["request"] as { tool_name: string; input: Line };
    expect(request.tool_name).toBe("AskUserQuestion");
    claude.respond(asked["request_id"], {
      behavior: "allow",
      updatedInput: { ...request.input, answers: { "Which?": "Bonjour" } },
    });
    expect((await claude.result())["result"]).toMatch(/Which\?.*Bonjour/);
  });
});
