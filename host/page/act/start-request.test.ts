import { expect, test } from "vitest";
import { EgressSpec_Mode, SessionSpecSchema } from "../../../proto/index.ts";
import { create } from "@bufbuild/protobuf";
import { toStartRequest } from "./start-request.ts";

const EMPTY = "model permissionMode attempts cost timeout ref history tokens requests steps idleTimeout decisionTimeout egress allowed image memory cpus setup check place"; // prettier-ignore

/** Asks for what a form has with these fields, and all others empty. */
function asked(fields: Record<string, string>) {
  const data = new FormData();
  for (const name of EMPTY.split(" ")) data.set(name, "");
  for (const [name, value] of Object.entries(fields)) data.set(name, value);
  return toStartRequest(data);
}

test("what is left empty is the host's to say", () => {
  const { directory, spec, container, attemptCount } = asked({ task: "Do it" });
  expect([directory, attemptCount]).toEqual(["", 0]);
  expect(spec).toEqual(create(SessionSpecSchema, { task: "Do it", budget: {} }));
  expect(container).toEqual({ image: "", memoryBytes: 0n });
});

test.each(["/home/me/project", "~/project", " /with blanks/ "])(
  "%j is a directory, and no ref of it counts",
  (place) => {
    expect(asked({ task: "x", place, ref: "main", history: "-1" })).toMatchObject({
      directory: place.trim(),
      spec: { repository: { uri: "", ref: "", depth: -1 } },
    });
  },
);

test("everything else is an address", () => {
  expect(asked({ task: "x", place: "https://example.com/x", ref: "main" })).toMatchObject({
    directory: "",
    spec: { repository: { uri: "https://example.com/x", ref: "main" } },
  });
});

test("limits are what the fields say, in their units", () => {
  const limits = { cost: "0.5", tokens: "5000000000", requests: "7", steps: "3", timeout: "1.5", idleTimeout: "0", memory: "0.5", cpus: "0.5", attempts: "3" }; // prettier-ignore
  const more = { egress: "none", allowed: "a.example, b.example:8443", check: "npm test", loadProjectSettings: "on" };
  expect(asked({ task: "x", ...limits, ...more })).toMatchObject({
    attemptCount: 3,
    container: { memoryBytes: 536870912n, cpuCount: 0.5 },
    spec: {
      budget: { maxCostUsd: 0.5, maxTokenCount: 5_000_000_000n, maxRequestCount: 7 },
      maxStepCount: 3,
      timeout: { seconds: 90n },
      idleTimeout: { seconds: 0n },
      check: { command: "npm test" },
      egress: { mode: EgressSpec_Mode.NONE, allowedDestinations: ["a.example", "b.example:8443"] },
      loadProjectSettings: true,
    },
  });
  expect(asked({ task: "x", setup: "" }).spec).not.toMatchObject({ setup: expect.anything() as unknown });
});
