import { identifier } from "./identifiers.ts";
import type { Block, Step, Usage } from "./scenario.ts";

/** An event of the reply's stream, and when to send it, counted from the start of the reply. */
export interface TimedEvent {
  readonly atMs: number;
  readonly event: { readonly type: string } & Readonly<Record<string, unknown>>;
}

export interface ReplyContext {
  readonly model: string;
  /** Unique for each attempt of each step of each session; ids derive from it. */
  readonly seed: string;
}

const SMALL_CHUNK = 24;
const MOST_CHUNKS = 400;

/** The whole stream of a step, in the order of the real API. */
export function replyEvents(step: Step, { model, seed }: ReplyContext): readonly TimedEvent[] {
  const events: TimedEvent[] = [];
  let atMs = 0;
  const push = (type: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    events.push({ atMs, event: { type, ...fields } });
  };
  const usage = usageOf(step);
  const message = {
    id: identifier("msg", seed),
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
  };
  push("message_start", { message: { ...message, usage: { ...wireUsage(usage), output_tokens: 1 } } });
  for (const [index, block] of step.blocks.entries()) {
    push("content_block_start", { index, content_block: emptyBlock(block, `${seed}/${index}`) });
    if (index === 0) push("ping");
    for (const chunk of chunksOf(blockSource(block), step.chunkCharacters)) {
      push("content_block_delta", { index, delta: delta(block, chunk) });
      if (block.type !== "tool_use") atMs += step.chunkDelayMs ?? 0;
    }
    if (block.type === "thinking")
      push("content_block_delta", { index, delta: { type: "signature_delta", signature: SIGNATURE } });
    push("content_block_stop", { index });
  }
  push("message_delta", { delta: { stop_reason: stopReasonOf(step), stop_sequence: null }, usage: wireUsage(usage) });
  push("message_stop");
  return events;
}

/** The same reply as one JSON body, for requests without `stream`. */
export function replyMessage(step: Step, { model, seed }: ReplyContext): Readonly<Record<string, unknown>> {
  return {
    id: identifier("msg", seed),
    type: "message",
    role: "assistant",
    model,
    content: step.blocks.map((block, index) => fullBlock(block, `${seed}/${index}`)),
    stop_reason: stopReasonOf(step),
    stop_sequence: null,
    usage: wireUsage(usageOf(step)),
  };
}

function stopReasonOf(step: Step): string {
  return step.stopReason ?? (step.blocks.some((block) => block.type === "tool_use") ? "tool_use" : "end_turn");
}

const SIGNATURE = "c2NyaXB0ZWQtbW9kZWw=";

function usageOf(step: Step): Usage {
  const characters = step.blocks.reduce((sum, block) => sum + blockSource(block).length, 0);
  return {
    inputTokens: 10,
    outputTokens: Math.max(1, Math.ceil(characters / 4)),
    cacheReadTokens: 0,
    cacheCreationTokens: 0,
    ...step.usage,
  };
}

function wireUsage(usage: Usage): Readonly<Record<string, unknown>> {
  return {
    input_tokens: usage.inputTokens,
    cache_creation_input_tokens: usage.cacheCreationTokens,
    cache_read_input_tokens: usage.cacheReadTokens,
    output_tokens: usage.outputTokens,
    service_tier: "standard",
  };
}

function blockSource(block: Block): string {
  return block.type === "tool_use" ? JSON.stringify(block.input) : block.text;
}

function emptyBlock(block: Block, seed: string): unknown {
  switch (block.type) {
    case "text":
      return { type: "text", text: "" };
    case "thinking":
      return { type: "thinking", thinking: "", signature: "" };
    case "tool_use":
      return { type: "tool_use", id: identifier("toolu", seed), name: block.name, input: {} };
    default:
      return block satisfies never;
  }
}

function fullBlock(block: Block, seed: string): unknown {
  switch (block.type) {
    case "text":
      return { type: "text", text: block.text };
    case "thinking":
      return { type: "thinking", thinking: block.text, signature: SIGNATURE };
    case "tool_use":
      return { type: "tool_use", id: identifier("toolu", seed), name: block.name, input: block.input };
    default:
      return block satisfies never;
  }
}

function delta(block: Block, chunk: string): unknown {
  switch (block.type) {
    case "text":
      return { type: "text_delta", text: chunk };
    case "thinking":
      return { type: "thinking_delta", thinking: chunk };
    case "tool_use":
      return { type: "input_json_delta", partial_json: chunk };
    default:
      return block satisfies never;
  }
}

function chunksOf(source: string, characters: number | undefined): readonly string[] {
  const points = [...source];
  const size = characters ?? Math.max(SMALL_CHUNK, Math.ceil(points.length / MOST_CHUNKS));
  const chunks: string[] = [];
  for (let start = 0; start < points.length; start += size) chunks.push(points.slice(start, start + size).join(""));
  return chunks;
}
