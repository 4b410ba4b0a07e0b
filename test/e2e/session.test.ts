import { afterAll, beforeAll, expect, test } from "vitest";
import { applyPatch } from "../support/apply-patch.ts";
import { type Rig, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

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
