import { defineScenario } from "../scenario.ts";

export const slowStream = defineScenario({
  name: "slow-stream",
  summary: "One answer, streamed over `seconds`, as numbered ticks of `interval-ms` each.",
  parameters: { seconds: 30, "interval-ms": 250 },
  steps: ({ seconds, "interval-ms": interval }) => {
    const ticks = Math.max(1, Math.round((seconds * 1000) / Math.max(1, interval)));
    const words = Array.from({ length: ticks }, (_, index) => `tick ${String(index + 1).padStart(6, "0")}\n`);
    return [
      { blocks: [{ type: "text", text: words.join("") }], chunkCharacters: TICK_CHARACTERS, chunkDelayMs: interval },
    ];
  },
});

const TICK_CHARACTERS = "tick 000001\n".length;
