import { expect, test } from "vitest";
import { checkModelRequest } from "./model-policy.ts";

const check = (body: unknown, allowedModels?: string[]) =>
  checkModelRequest(body, { allowedModels, allowedBetas: [], maxOutputTokens: 128_000 });
const message = (...content: unknown[]) => ({ role: "user", content });
const plain = {
  model: "claude-x",
  max_tokens: 128_000,
  stream: true,
  messages: [message({ type: "text", text: "hi" })],
};

test("passes on what Claude Code sends", () => {
  const body = {
    ...plain,
    system: [{ type: "text", text: "x", cache_control: { type: "ephemeral" } }],
    tools: [
      { name: "Bash", description: "x", input_schema: { type: "object" } },
      { type: "custom", name: "y" },
    ],
    metadata: { user_id: "x" },
    thinking: { type: "adaptive" },
    context_management: { edits: [] },
    output_config: { effort: "medium" },
  };
  expect(check(body)).toEqual({ body });
});

test("leaves out what it does not know", () => {
  expect(check({ ...plain, new_thing: { a: 1 } })).toEqual({ body: plain });
});

test.each([
  ["a list", []],
  ["nothing", null],
  ["a container", { ...plain, container: "c" }],
  ["an MCP server", { ...plain, mcp_servers: [] }],
  ["a web search", { ...plain, tools: [{ type: "web_search_20250305", name: "web_search" }] }],
  ["a web fetch", { ...plain, tools: [{ type: "web_fetch_20250910", name: "web_fetch" }] }],
  ["code execution", { ...plain, tools: [{ type: "code_execution_20250825", name: "x" }] }],
  ["an MCP toolset", { ...plain, tools: [{ type: "mcp_toolset" }] }],
  ["tools that are no list", { ...plain, tools: { 0: { type: "web_search_20250305", name: "web_search" } } }],
  ["a type that is no text", { ...plain, tools: [{ type: ["custom"], name: "x" }] }],
  ["an image by URL", { ...plain, messages: [message({ type: "image", source: { type: "url", url: "x" } })] }],
  [
    "a source of a kind that is not known",
    { ...plain, messages: [message({ type: "image", source: { type: "bucket", uri: "x" } })] },
  ],
  ["a file", { ...plain, messages: [message({ type: "document", source: { type: "file", file_id: "x" } })] }],
  [
    "an image by URL in a tool's result",
    {
      ...plain,
      messages: [message({ type: "tool_result", content: [{ type: "image", source: { type: "url", url: "x" } }] })],
    },
  ],
  ["a document by URL in the system's text", { ...plain, system: [{ source: { type: "url" } }] }],
  ["too many tokens", { ...plain, max_tokens: 10_000_000 }],
])("refuses %s", (_, body) => {
  expect(check(body)).toHaveProperty("refused");
});

test.each(["base64", "content", "text"])("passes on a source of type %s, which is in the request", (type) => {
  const body = { ...plain, messages: [message({ type: "document", source: { type, data: "eA==" } })] };
  expect(check(body)).toEqual({ body });
});

test("looks at tools that are added in the conversation, too", () => {
  const adding = (tool: unknown) => ({ ...plain, messages: [message({ type: "tool_addition", tool })] });
  for (const tool of [
    { type: "tool_reference", name: "x" },
    { type: "tool_definition", definition: { name: "x", input_schema: {} } },
  ]) {
    expect(check(adding(tool))).toEqual({ body: adding(tool) });
  }
  for (const tool of [
    { type: "tool_definition", definition: { type: "web_search_20250305", name: "web_search" } },
    { type: "tool_definition" },
    { type: "web_search_20250305" },
    "web_search",
  ]) {
    expect(check(adding(tool))).toEqual({
      refused: expect.stringContaining("runs outside of the container") as string,
    });
  }
});

test("takes what a tool was called with for what it is: text", () => {
  const input = { source: { type: "url", url: "https://example.com" } };
  const body = { ...plain, messages: [message({ type: "tool_use", name: "Write", input })] };
  expect(check(body)).toEqual({ body });
});

test("does not fall over a body that is nested without end", () => {
  let deep: unknown = "x";
  for (let depth = 0; depth < 5_000; depth++) deep = [deep];
  expect(check({ ...plain, messages: deep })).toEqual({ refused: "the messages are nested too deeply" });
});

test("passes on only the models that the user allows", () => {
  const allowed = ["claude-x", "claude-haiku-*"];
  expect(check(plain, allowed)).toEqual({ body: plain });
  const model = "claude-haiku-4-5";
  expect(check({ ...plain, model }, allowed)).toEqual({ body: { ...plain, model } });
  for (const other of ["claude-x-2", "Claude-x", undefined, ["claude-x"]]) {
    expect(check({ ...plain, model: other }, allowed)).toEqual({
      refused: expect.stringContaining("allowed_models (") as string,
    });
  }
});
