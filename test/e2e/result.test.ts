import { expect, test } from "vitest";
import { applyPatch } from "../support/apply-patch.ts";
import { containersGone } from "../support/containers-gone.ts";
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
    lines.some((line) => /^…\w+( \d+ files?)?( \$[\d.]+)?: [AM] \S+ \+\d+ -\d+$/.test(line)),
    lines.join("\n"),
  ).toBe(true);
  await containersGone(rig.mcp.place);

  const { contents } = await rig.mcp.client.readResource({ uri: summary!.patch_uri });
  expect((contents[0] as { text: string }).text).toBe(summary!.patch);
});
