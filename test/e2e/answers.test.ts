import { afterAll, beforeAll, expect, test } from "vitest";
import { claudecluster } from "../support/claudecluster.ts";
import { type Rig, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

test("a long answer is whole behind the address that stands in its cut, also of a session that goes on", async () => {
  const task = "[scenario: long-answer bytes=100000]";
  const { summary } = await rig.mcp.spawn({ task, idle_timeout_seconds: 60 });
  expect(summary!.state).toBe("idle");
  const uri = `claudecluster://sessions/${summary!.session_id}/answer`;
  expect(summary).toMatchObject({ answer_uri: uri, result: expect.stringContaining(uri) as string });
  const shown = () => claudecluster(rig.mcp.place, ["show", "--answer", summary!.session_id]);
  const live = (await shown()).stdout;
  expect(live.length).toBeGreaterThan(90_000);
  await claudecluster(rig.mcp.place, ["stop", summary!.session_id]);
  expect((await shown()).stdout).toBe(live);
  const { contents } = await rig.mcp.client.readResource({ uri });
  expect(`${(contents[0] as { text: string }).text}\n`).toBe(live);
  expect(live.startsWith(summary!.result.slice(0, 16_000))).toBe(true);
});

test("an overload in the middle of an answer leaves a trace, though Claude Code says nothing of it", async () => {
  const { summary } = await rig.mcp.spawn({ task: "[scenario: api-error status=stream-error times=1]" });
  expect(summary!.state).toBe("succeeded");
  const { stdout } = await claudecluster(rig.mcp.place, ["logs", summary!.session_id]);
  expect(stdout).toMatch(/ model request failed: overloaded_error in the middle of an answer$/m);
});

test("a session that ends without a word is told to have none", async () => {
  const { summary } = await rig.mcp.spawn({ task: '[scenario: quiet-end text=""]' });
  expect(summary).toMatchObject({
    state: "succeeded",
    result: "",
    no_answer: expect.stringMatching(/without/) as string,
  });
  const { stdout } = await claudecluster(rig.mcp.place, ["show", summary!.session_id]);
  expect(stdout).toContain("Claude ended its last turn without saying anything.");
});
