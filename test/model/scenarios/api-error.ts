import { errorMessage, errorType } from "../api-error.ts";
import { MarkerError } from "../marker.ts";
import { bash, call, defineScenario, say, type Failure } from "../scenario.ts";

/** `step` says which answer fails: 1 fails before anything is done, 2 after a first tool call. */
export const apiError = defineScenario({
  name: "api-error",
  summary:
    "The model API fails: status = an HTTP status, drop (cut after `events` events of the stream), stream-error (error event after them), reset (cut before any answer). times=0 means always.",
  parameters: { status: "529", times: 0, step: 1, events: 4, message: "", "retry-after": "" },
  steps: ({ status, times, step, events, message, "retry-after": retryAfter }) => {
    const failure = { ...failureFor(status, events, message, retryAfter), ...(times > 0 && { times }) };
    const answers = [
      call("I'll say hello first.", bash("echo hello > api-error.txt && cat api-error.txt", "Say hello")),
      say("The API answered after all."),
    ];
    return answers.map((answer, index) => (index + 1 === step ? { ...answer, failure } : answer));
  },
});

function failureFor(status: string, afterEvents: number, message: string, retryAfter: string): Failure {
  if (status === "drop") return { kind: "drop", afterEvents };
  if (status === "reset") return { kind: "reset" };
  if (status === "stream-error")
    return { kind: "stream-error", afterEvents, type: "overloaded_error", message: message || "Overloaded" };
  const code = Number(status);
  if (!Number.isInteger(code) || code < 400 || code > 599) {
    throw new MarkerError(
      `Parameter "status" of scenario "api-error" is "${status}". It takes 400 to 599, drop, reset, or stream-error.`,
    );
  }
  return {
    kind: "http",
    status: code,
    type: errorType(code),
    message: message || errorMessage(code),
    ...(retryAfter !== "" && { retryAfterSeconds: Number(retryAfter) }),
  };
}
