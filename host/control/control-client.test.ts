import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ControlClient } from "./control-client.ts";

test.each([
  ["is longer than a socket's may be", "x".repeat(120)],
  ["holds a zero", "a\0b"],
  ["does not exist", "none"],
])("a call fails at once where the path %s", async (_what, name) => {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-client-"));
  try {
    using client = new ControlClient(join(directory, name));
    for (let call = 0; call < 2; call++) await expect(client.host.getHostInfo({})).rejects.toThrow(/EINVAL|ENOENT/);
  } finally {
    await rm(directory, { recursive: true });
  }
});
