import { expect, test } from "vitest";
import { explainModelTrouble } from "./model-trouble.ts";

const endpoint = new URL("http://127.0.0.1:4711");
const unreached = "model endpoint 127.0.0.1:4711 not reached (ECONNREFUSED)";
const explain = (reason: string, facts: { unreached?: string } = {}) =>
  explainModelTrouble(
    { reason, message: "As the agent says." },
    {
      endpoint,
      unreached: undefined,
      timeoutMs: 60_000,
      ...facts,
    },
  );

test.each(["TIMED_OUT", "MODEL_ERROR"])("%s names an endpoint that was not reached, and advises on that", (reason) => {
  const message = explain(reason, { unreached });
  expect(message).toContain(`: ${unreached}. Check base_url`);
  expect(message).not.toContain("Allow more");
});

test("names an endpoint that refused the credential, and the command for another one", () => {
  expect(explain("AUTHENTICATION_FAILED")).toMatch(/127\.0\.0\.1:4711 refused .*claudecluster credential set/);
});

const say = (reason: string, message: string) =>
  explainModelTrouble({ reason, message }, { endpoint, unreached: undefined, timeoutMs: 60_000 });

test.each(["8080", "80", "49152"])("calls the endpoint by the name that the user gave, also for port %s", (port) => {
  const message = `API Error: Unable to connect to http://127.0.0.1:${port}/v1/messages`;
  const told = "API Error: Unable to connect to http://127.0.0.1:4711/v1/messages";
  expect(say("MODEL_ERROR", message)).toBe(told);
  expect(say("CLAUDE_ERROR", message)).toBe(told);
});

test("takes no other address, and no other listener, for the endpoint", () => {
  for (const message of ["127.0.0.1", "10.127.0.0.1:8080", "127.0.0.1:808000"]) {
    expect(say("MODEL_ERROR", message)).toBe(message);
  }
  const message = "Could not clone http://127.0.0.1:9418/https/a.test/b.git.";
  expect(say("CLONE_FAILED", message)).toBe(message);
});

test("leaves alone what has another cause", () => {
  expect(explain("TIMED_OUT")).toBe("As the agent says.");
  expect(explain("OUT_OF_MEMORY", { unreached })).toBe("As the agent says.");
});
