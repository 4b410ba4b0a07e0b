import { afterAll, beforeAll, expect, test } from "vitest";
import { type Rig, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** Of 256 MiB the workspace gets a half, what is fetched a quarter, /tmp and the home directory an eighth each. */
const MEMORY = "256m";
const MEGABYTE = 1e6;

async function spawn(options: object): Promise<string> {
  const { text, isError } = await rig.mcp.spawn({ task: "Look around.", memory: MEMORY, ...options });
  expect(isError).toBe(true);
  return text;
}

test("says that what is fetched does not fit, how much it is, and which memory has room for it", async () => {
  // Nothing compresses it.
  let state = 1;
  const noise = Buffer.alloc(80 * MEGABYTE, 0);
  for (let at = 0; at < noise.length; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    noise.writeInt32LE(state ^ (state >>> 15), at);
  }
  const files = Object.fromEntries(Array.from({ length: 80 }, (_, part) => [
    `part${part}.bin`,
    noise.toString("latin1", part * MEGABYTE, (part + 1) * MEGABYTE),
  ])); // prettier-ignore
  const repository = await rig.git.addRepository("large-pack", files);
  expect(await spawn({ repository })).toMatch(
    /no room left in \/base: it has 64 MiB, about \d+ MiB are needed\. Give the session more memory: 1g \(--memory 1g\)/,
  );
});

test("says that the files do not fit, how much they are, and which memory has room for them", async () => {
  const files = Object.fromEntries(Array.from({ length: 40 }, (_, part) => [
    `part${part}.txt`,
    `${part} line\n`.repeat(5 * MEGABYTE / 8),
  ])); // prettier-ignore
  const repository = await rig.git.addRepository("large-tree", files);
  expect(await spawn({ repository })).toMatch(
    /no room left in \/workspace\/repo: it has 128 MiB, about 1\d\d MiB are needed\. Give the session more memory: 1g \(--memory 1g\)/,
  );
});

test("names the directories that are full when a session fails", async () => {
  const fill = "cat /dev/zero > /tmp/fill; cat /dev/zero > ~/fill; tail -f /dev/null";
  const calls = JSON.stringify([{ name: "Bash", input: { command: fill, timeout: 600_000 } }]);
  const failed = await spawn({ task: `[scenario: call-tools ${calls}]`, memory: "512m", timeout_seconds: 15 });
  expect(failed).toContain("There is no room left in /tmp and /home/claude. Give the session more memory (--memory)");
});
