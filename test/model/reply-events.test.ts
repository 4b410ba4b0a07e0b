import { describe, expect, it } from "vitest";
import { replyEvents, replyMessage } from "./reply-events.ts";
import type { Step } from "./scenario.ts";

const CONTEXT = { model: "m", seed: "s" };
const STEP: Step = {
  blocks: [
    { type: "thinking", text: "hm" },
    { type: "text", text: "a 🦀 b" },
    { type: "tool_use", name: "Bash", input: { command: "ls" } },
  ],
  chunkCharacters: 2,
  chunkDelayMs: 10,
  usage: { inputTokens: 7 },
};

describe("replyEvents", () => {
  it("streams blocks in the order of the real API", () => {
    const types = replyEvents(STEP, CONTEXT).map(({ event }) => event.type);
    expect(types.filter((type) => type !== "content_block_delta")).toEqual([
      "message_start",
      "content_block_start",
      "ping",
      "content_block_stop",
      "content_block_start",
      "content_block_stop",
      "content_block_start",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
  });

  it("never splits a character, and loses none", () => {
    const texts = replyEvents(STEP, CONTEXT).flatMap(
      ({ event }) => (event["delta"] as { text?: string } | undefined)?.text ?? [],
    );
    expect(texts).toEqual(["a ", "🦀 ", "b"]);
  });

  it("paces text but not the input of tools", () => {
    const events = replyEvents(STEP, CONTEXT);
    expect(events.findLast(({ event }) => event.type === "content_block_stop")?.atMs).toBe(40);
  });

  it("says the same as the body of an answer that is no stream", () => {
    const message = replyMessage(STEP, CONTEXT);
    const start = replyEvents(STEP, CONTEXT)[0]?.event["message"] as { id: string };
    expect(message).toMatchObject({
      id: start.id,
      stop_reason: "tool_use",
      usage: { input_tokens: 7 },
      content: [{ thinking: "hm" }, { text: "a 🦀 b" }, { name: "Bash", input: { command: "ls" } }],
    });
  });

  it("sends two megabytes in a few hundred events", () => {
    expect(replyEvents({ blocks: [{ type: "text", text: "x".repeat(2_000_000) }] }, CONTEXT).length).toBeLessThan(420);
  });
});
