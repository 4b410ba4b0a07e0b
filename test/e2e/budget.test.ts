import { expect, test } from "vitest";
import { startMcpServer } from "../support/mcp-client.ts";
import { startRig } from "../support/rig.ts";

test("a session ends when its budget is used up, with its changes, and goes on with another one", async () => {
  await using rig = await startRig();
  const lines: string[] = [];
  const task = "[scenario: long-run seconds=3 steps=6]";
  const before = rig.model.requests.length;
  const { isError, summary } = await rig.mcp.spawn(
    { task, repository: rig.repository, max_requests: 3 },
    { onProgress: (line) => lines.push(line) },
  );
  expect(isError).toBe(true);
  const sentence = "The session's budget of 3 model requests is used up (3).";
  expect(summary).toMatchObject({
    state: "failed",
    failure: { reason: "BUDGET_REACHED", message: expect.stringContaining(sentence) as string },
  });
  expect(lines.join("\n")).toContain(sentence);
  expect(summary!.change_count).toBeGreaterThan(0);
  // Not one more than that went to the model, whatever Claude tried.
  expect(rig.model.requests.length - before).toBe(3);
  // What the host counted, and not what the container says.
  const known = rig.model.requests.slice(before);
  expect(summary!.usage?.output_tokens).toBeGreaterThanOrEqual(known.length);
  expect(summary!.usage?.cost_usd).toBeGreaterThan(0);

  const continued = await rig.mcp.spawn({ task: "[scenario: small-edit]", continue_session: summary!.session_id });
  expect(continued.summary?.state, JSON.stringify(continued.summary?.failure)).toBe("succeeded");
});

test("all sessions of a day have the host's budget together", async () => {
  await using rig = await startRig();
  await using mcp = await startMcpServer({
    config: {
      base_url: rig.model.url,
      credential: { api_key: rig.key },
      daily_budget: { requests: 1 },
      session_budget: { usd: 100 },
    },
  });
  const spawn = () => mcp.spawn({ task: "[scenario: small-edit]", repository: rig.repository });
  const first = await spawn();
  expect(first.summary?.failure?.message).toContain(
    "The host's budget for one day (UTC) of 1 model requests is used up",
  );
  const count = rig.model.requests.length;
  const second = await spawn();
  expect(second.summary?.failure).toMatchObject({ reason: "BUDGET_REACHED" });
  expect(rig.model.requests.length).toBe(count);
});
