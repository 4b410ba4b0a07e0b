import { afterAll, beforeAll, expect, test } from "vitest";
import { claudecluster, type CommandOutcome } from "../support/claudecluster.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

let rig: HostRig;
beforeAll(async () => {
  rig = await startHostRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const cli = (...args: string[]): Promise<CommandOutcome> => claudecluster(rig.place, args);

async function session(scenario: string): Promise<string> {
  const { code, stdout, stderr } = await cli("run", `[scenario: ${scenario}]`, "-r", rig.repository, "--json");
  expect(code, stderr).toBe(0);
  return (JSON.parse(stdout) as { session_id: string }).session_id;
}

async function listed(): Promise<[string, string | undefined][]> {
  const { stdout } = await cli("list", "--json");
  const entries = JSON.parse(stdout) as { session_id: string; taken?: string }[];
  return entries.map(({ session_id, taken }) => [session_id, taken]);
}

test("retention removes what has no changes or was taken, and keeps the rest until told to discard it", async () => {
  const full = await session("small-edit");
  const saved = await session("small-edit");
  const empty = await session(`call-tools [{"name":"Bash","input":{"command":"true"}}]`);
  expect((await cli("diff", saved)).stdout).toContain("diff --git");
  expect(await listed()).toContainEqual([saved, expect.stringMatching(/^saved to standard output, /)]);
  // A host prunes as it starts, and more than that is stored.
  await rig.place.configure({ base_url: rig.model.url, credential: { api_key: rig.key }, store_max_bytes: 1 });
  expect((await cli("shutdown")).code).toBe(0);
  await expect.poll(listed, { timeout: 30_000 }).toEqual([[full, "not yet"]]);
  expect((await cli("show", empty)).code).toBe(4);
  const refused = await cli("remove", full);
  expect([refused.code, refused.stdout]).toEqual([3, ""]);
  expect(refused.stderr).toContain("CHANGES_NOT_TAKEN");
  expect(refused.stderr).toContain(`claudecluster remove --discard ${full}`);
  expect(await listed()).toEqual([[full, "not yet"]]);
  expect((await cli("remove", "--discard", full)).stdout).toBe(`${full}\n`);
  expect(await listed()).toEqual([]);
});
