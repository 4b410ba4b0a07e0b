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
  ["code execution by a shell", { ...plain, tools: [{ type: "bash_code_execution_20250825", name: "x" }] }],
  ["code execution by an editor", { ...plain, tools: [{ type: "text_editor_code_execution_20250825", name: "x" }] }],
  ["a tool that is called nearly like a known one", { ...plain, tools: [{ type: "tool_search_tool_web_20260101" }] }],
  ["a memory of the API's", { ...plain, tools: [{ type: "memory_store_20260101", name: "x" }] }],
  ["a type that is no text", { ...plain, tools: [{ type: ["custom"], name: "x" }] }],
  ["an image by URL", { ...plain, messages: [message({ type: "image", source: { type: "url", url: "x" } })] }],
  [
    "a source of a kind that is not known",
    { ...plain, messages: [message({ type: "image", source: { type: "bucket", uri: "x" } })] },
  ],
  ["a file", { ...plain, messages: [message({ type: "document", source: { type: "file", file_id: "x" } })] }],
  ["a bare file", { ...plain, messages: [message({ type: "image", file_id: "x" })] }],
  ["an upload to a container", { ...plain, messages: [message({ type: "container_upload", file_id: "x" })] }],
  [
    "a source that is a list",
    { ...plain, messages: [message({ type: "image", source: [{ type: "url", url: "x" }] })] },
  ],
  ["a source that is a text", { ...plain, messages: [message({ type: "image", source: "https://example.com/x" })] }],
  ["a block that is a text", { ...plain, messages: [message("https://example.com/x")] }],
  ["a block without a type", { ...plain, messages: [message({ url: "x" })] }],
  ["content that is no list", { ...plain, messages: [{ role: "user", content: { type: "container_upload" } }] }],
  ["a block of the API's connectors", { ...plain, messages: [message({ type: "mcp_tool_use", name: "x" })] }],
  ["a call of a web search", { ...plain, messages: [message({ type: "server_tool_use", name: "web_search" })] }],
  [
    "a block that is not known in a document",
    {
      ...plain,
      messages: [message({ type: "document", source: { type: "content", content: [{ type: "web_page", url: "x" }] } })],
    },
  ],
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

test("passes on every block that holds what it says", () => {
  const content = [
    { type: "text", text: "x", citations: [{ type: "search_result_location", source: "https://example.com" }] },
    { type: "text", text: "x", citations: [{ type: "char_location", document_title: "x", file_id: null }] },
    { type: "image", source: { type: "base64", media_type: "image/png", data: "eA==" } },
    { type: "document", source: { type: "content", content: [{ type: "text", text: "x" }] } },
    { type: "search_result", source: "https://example.com", title: "x", content: [{ type: "text", text: "x" }] },
    { type: "thinking", thinking: "x", signature: "x" },
    { type: "redacted_thinking", data: "x" },
    { type: "tool_use", id: "x", name: "Read", input: { file_id: "x" } },
    { type: "tool_result", tool_use_id: "x", content: "x" },
    { type: "tool_result", tool_use_id: "x", content: [{ type: "tool_reference", tool_name: "x" }] },
    { type: "server_tool_use", id: "x", name: "tool_search_tool_regex", input: { query: "x" } },
    {
      type: "tool_search_tool_result",
      content: {
        type: "tool_search_tool_search_result",
        tool_references: [{ type: "tool_reference", tool_name: "x" }],
      },
    },
    { type: "tool_removal", tool: { type: "tool_reference", name: "x" } },
    { type: "compaction", content: "x" },
  ];
  const tools = ["bash_20250124", "text_editor_20250728", "memory_20250818", "tool_search_tool_bm25"];
  const body = {
    ...plain,
    messages: [message(...content), { role: "system", content: "x" }],
    tools: tools.map((type) => ({ type, name: "x" })),
  };
  expect(check(body)).toEqual({ body });
});

test("takes what a tool takes for what it is, also where it is added", () => {
  const definition = { name: "x", input_schema: { properties: { source: { type: "string" }, file_id: {} } } };
  const body = {
    ...plain,
    messages: [message({ type: "tool_addition", tool: { type: "tool_definition", definition } })],
    tools: [definition],
  };
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
