/** A content block of a message on the wire. */
export type WireBlock = { readonly type: string } & Readonly<Record<string, unknown>>;

export interface WireMessage {
  readonly role: "user" | "assistant" | "system";
  readonly content: string | readonly WireBlock[];
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** Every event of the stream, in order. */
  readonly events: readonly (WireBlock & { readonly receivedAtMs: number })[];
  /** The assistant's blocks, put together from the stream. */
  readonly content: readonly WireBlock[];
  readonly stopReason: unknown;
  /** The body of an answer that is no stream. */
  readonly body: unknown;
}

export interface AskOptions {
  readonly url: string;
  readonly messages: readonly WireMessage[];
  readonly tools?: readonly string[];
  readonly stream?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
}

const TOOLS = ["Bash", "Edit", "Read", "Write"];

/** Sends one request as Claude Code would and reads the reply to its end. */
export async function ask({
  url,
  messages,
  tools = TOOLS,
  stream = true,
  headers = {},
  fields = {},
  signal,
}: AskOptions): Promise<Reply> {
  const body = {
    model: "claude-test",
    max_tokens: 1000,
    stream,
    messages,
    tools: tools.map((name) => ({ name, input_schema: {} })),
    ...fields,
  };
  const response = await fetch(`${url}/v1/messages?beta=true`, {
    method: "POST",
    headers: { "content-type": "application/json", "anthropic-version": "2023-06-01", ...headers },
    body: JSON.stringify(body),
    ...(signal !== undefined && { signal }),
  });
  const start = performance.now();
  const events: (WireBlock & { receivedAtMs: number })[] = [];
  let text = "";
  for await (const chunk of (response.body ?? new ReadableStream<Uint8Array>()).pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (!stream || !response.ok) continue;
    const complete = text.split("\n\n");
    text = complete.pop() ?? "";
    for (const event of complete)
      events.push({
        ...(JSON.parse(event.slice(event.indexOf("data: ") + 6)) as WireBlock),
        receivedAtMs: performance.now() - start,
      });
  }
  const json: unknown = events.length === 0 && text !== "" ? JSON.parse(text) : undefined;
  const stop = events.findLast((event) => event.type === "message_delta")?.["delta"] as
    { stop_reason?: unknown } | undefined;
  return {
    status: response.status,
    headers: response.headers,
    events,
    content: assemble(events),
    stopReason: stop?.stop_reason,
    body: json,
  };
}

/** Plays a task to its end. Every tool call gets the text that `run` returns; an Error becomes a failed result. */
export async function converse(
  options: Omit<AskOptions, "messages"> & {
    readonly task: string;
    readonly run?: (name: string, input: unknown) => string | Error;
  },
): Promise<readonly WireMessage[]> {
  const messages: WireMessage[] = [{ role: "user", content: [{ type: "text", text: options.task }] }];
  for (;;) {
    const reply = await ask({ ...options, messages });
    messages.push({ role: "assistant", content: reply.content });
    const calls = reply.content.filter((block) => block.type === "tool_use");
    if (calls.length === 0) return messages;
    messages.push({
      role: "user",
      content: calls.map((call) => toolResult(call, options.run?.(String(call["name"]), call["input"]) ?? "ok")),
    });
  }
}

function toolResult(call: WireBlock, result: string | Error): WireBlock {
  const failed = result instanceof Error;
  return { type: "tool_result", tool_use_id: call["id"], content: failed ? result.message : result, is_error: failed };
}

function assemble(events: readonly WireBlock[]): readonly WireBlock[] {
  const blocks: Record<string, unknown>[] = [];
  const sources: string[] = [];
  for (const event of events) {
    const index = Number(event["index"]);
    if (event.type === "content_block_start") blocks[index] = { ...(event["content_block"] as WireBlock) };
    if (event.type !== "content_block_delta") continue;
    const delta = event["delta"] as Readonly<Record<string, string>>;
    sources[index] = (sources[index] ?? "") + (delta["text"] ?? delta["thinking"] ?? delta["partial_json"] ?? "");
  }
  return blocks.map((block, index) => {
    const source = sources[index] ?? "";
    if (block["type"] === "tool_use") return { ...block, type: "tool_use", input: parseInput(source) };
    return block["type"] === "thinking"
      ? { ...block, type: "thinking", thinking: source }
      : { ...block, type: "text", text: source };
  });
}

/** The input of a tool call; the text so far when the stream broke off within it. */
function parseInput(source: string): unknown {
  try {
    return JSON.parse(source) as unknown;
  } catch {
    return source;
  }
}
