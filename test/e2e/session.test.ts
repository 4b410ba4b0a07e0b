import { afterAll, beforeAll, expect, test } from "vitest";
import { applyPatch } from "../support/apply-patch.ts";
import { containersOf } from "../support/docker.ts";
import { type Rig, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

test("returns ids, result, usage, timeline and an exact patch, shows progress, and removes the container", async () => {
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
  expect(summary!.usage.input_tokens).toBeGreaterThan(0);
  expect(summary!.usage.output_tokens).toBeGreaterThan(0);
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

test("works on a branch, and starts empty without a repository", async () => {
  const { summary } = await rig.mcp.spawn({ task: "[scenario: write-files count=2 prefix=note]" });
  expect(summary).toMatchObject({ state: "succeeded", base_commit: "", change_count: 2 });
  const branch = await rig.mcp.spawn({ task: "[scenario: small-edit]", repository: rig.repository, ref: "main" });
  expect(branch.summary?.state).toBe("succeeded");
});

test("keeps four sessions on two repositories apart", async () => {
  const other = await rig.git.addRepository("other", { "OTHER.md": "# Other\n" });
  const names = ["alpha", "beta", "gamma", "delta"];
  const outcomes = await Promise.all(
    names.map((name, index) =>
      rig.mcp.spawn({
        task: `[scenario: write-files count=3 prefix=${name} content=by-${name}]`,
        repository: index % 2 === 0 ? rig.repository : other,
      }),
    ),
  );
  for (const [index, { summary }] of outcomes.entries()) {
    expect(summary?.state).toBe("succeeded");
    const files = await applyPatch(rig.git.directoryOf(index % 2 === 0 ? "greeter" : "other"), summary!.patch!);
    const added = Object.entries(files).filter(([, content]) => content.includes("by-"));
    expect(added).toHaveLength(3);
    for (const [path, content] of added) {
      expect(path).toContain(names[index]);
      expect(content).toContain(`by-${names[index]}`);
    }
    expect("OTHER.md" in files).toBe(index % 2 === 1);
  }
  expect(new Set(outcomes.map(({ summary }) => summary?.session_id)).size).toBe(4);
});
