import { defineScenario, say } from "../scenario.ts";

export const stopReason = defineScenario({
  name: "stop-reason",
  summary:
    "The first answer ends with stop_reason `reason` (max_tokens, refusal, pause_turn…); the second is ordinary.",
  parameters: { reason: "max_tokens" },
  steps: ({ reason }) => [
    { ...say("This answer ends before its"), stopReason: reason },
    say("I had been cut short; this is the rest."),
  ],
});
