import { bash, call, defineScenario, say } from "../scenario.ts";

export const stopReason = defineScenario({
  name: "stop-reason",
  summary:
    "The first `times` answers end with stop_reason `reason` (max_tokens, refusal, pause_turn…); the next is ordinary.",
  parameters: { reason: "max_tokens", times: 1 },
  steps: ({ reason, times }) => [
    ...Array.from({ length: times }, () => ({ ...say("This answer ends before its"), stopReason: reason })),
    say("I had been cut short; this is the rest."),
  ],
});

export const quietEnd = defineScenario({
  name: "quiet-end",
  summary: "Says `text` beside a tool call, and nothing after it. Without `text` nothing is said at all.",
  parameters: { text: "The answer is 42." },
  steps: ({ text }) => [
    ...(text === "" ? [] : [call(text, bash("echo quiet > quiet.txt", "Write it down"))]),
    ...Array.from({ length: 5 }, () => ({ blocks: [] })),
  ],
});

export const twoBlocks = defineScenario({
  name: "two-blocks",
  summary: "Answers in two blocks of text.",
  steps: () => [
    {
      blocks: [
        { type: "text", text: "The first half." },
        { type: "text", text: "The second half." },
      ],
    },
  ],
});
