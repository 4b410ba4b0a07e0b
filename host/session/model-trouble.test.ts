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

test("calls the endpoint by the name that the user gave", () => {
  const message = "API Error: Unable to connect to http://127.0.0.1:8080/v1/messages";
  const facts = { endpoint, unreached: undefined, timeoutMs: 60_000 };
  const told = explainModelTrouble({ reason: "MODEL_ERROR", message }, facts);
  expect(told).toBe("API Error: Unable to connect to http://127.0.0.1:4711/v1/messages");
});

test("leaves alone what has another cause", () => {
  expect(explain("TIMED_OUT")).toBe("As the agent says.");
  expect(explain("OUT_OF_MEMORY", { unreached })).toBe("As the agent says.");
});
