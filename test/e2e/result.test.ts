import { expect, test } from "vitest";
import { applyPatch } from "../support/apply-patch.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { containersOf } from "../support/docker.ts";
import { startRig } from "../support/rig.ts";

// By itself, for every engine.
test("returns ids, result, usage, timeline and an exact patch, shows progress, and removes the container", async () => {
  await using rig = await startRig();
  const lines: string[] = [];
  const { isError, summary } = await rig.mcp.spawn(
    { task: "[scenario: multi-file-change] Improve the greeter.", repository: rig.repository },
    { onProgress: (line) => lines.push(line) },
  );
  expect(isError, JSON.stringify(summary?.failure)).toBe(false);
  expect(summary).toMatchObject({ state: "succeeded", permission_mode: "bypassPermissions" });
  expect(summary!.session_id).toMatch(/^ses_[0-9A-HJKMNP-TV-Z]{26}$/);
  expect(summary!.container_id).toMatch(/^[0-9a-f]{64}$/);
  expect(summary!.result).not.toBe("");
  expect(summary!.usage?.input_tokens).toBeGreaterThan(0);
  expect(summary!.usage?.output_tokens).toBeGreaterThan(0);
  expect(summary!.changes.length).toBeGreaterThan(2);
  const kinds = new Set(summary!.changes.map(({ kind }) => kind));
  expect([...kinds].sort()).toEqual(["added", "deleted", "modified"]);
  expect(summary!.phases.map(({ phase }) => phase)).toEqual([
    "queued",
    "image",
    "create",
    "start",
    "dial",
    "workspace",
    "claude",
    "first_request",
    "work",
    "collect",
  ]);
  const files = await applyPatch(rig.git.directoryOf("greeter"), summary!.patch!);
  expect(Object.keys(files)).not.toContain("src/legacy.js");
  expect(
    lines.some((line) => /^[AM] \S+ \+\d+ -\d+$/.test(line)),
    lines.join("\n"),
  ).toBe(true);
  expect(await containersOf(summary!.session_id)).toEqual([]);

  const { contents } = await rig.mcp.client.readResource({ uri: summary!.patch_uri });
  expect((contents[0] as { text: string }).text).toBe(summary!.patch);
});

test("a long answer is whole behind the address that stands in its cut, also of a session that goes on", async () => {
  await using rig = await startRig();
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
