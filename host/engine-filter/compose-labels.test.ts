import { expect, test, vi } from "vitest";
import type { EngineAnswer } from "./engine-client.ts";
import { composeLabels } from "./compose-labels.ts";

const { signal } = new AbortController();
const own = (labels: Record<string, string>): EngineAnswer => ({ status: 200, json: { Config: { Labels: labels } } });
const target = "0123456789ab";
const labelsBy = (answer: EngineAnswer) => composeLabels({ call: async () => answer }, "sessions", { signal, target });

test("makes a container a one-off container of the service in the filter's own project", async () => {
  expect(await labelsBy(own({ "com.docker.compose.project": "team", "com.docker.compose.oneoff": "False" }))).toEqual({
    "com.docker.compose.project": "team",
    "com.docker.compose.service": "sessions",
    "com.docker.compose.oneoff": "True",
    "com.docker.compose.container-number": "1",
    "com.docker.compose.config-hash": "session",
  });
});

test("refuses where the filter is in no project, and asks of no container that it cannot be", async () => {
  const refused = expect.objectContaining({ reason: "ENGINE_CALL_REFUSED" });
  await expect(labelsBy(own({}))).rejects.toEqual(refused);
  await expect(labelsBy({ status: 404, json: {} })).rejects.toEqual(refused);
  const call = vi.fn();
  await expect(composeLabels({ call }, "sessions", { signal, target: "../../info" })).rejects.toEqual(refused);
  expect(call).not.toHaveBeenCalled();
});
