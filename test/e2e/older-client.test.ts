import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { expect, test } from "vitest";
import { CLAUDECLUSTER } from "../support/mcp-client.ts";
import { startRig } from "../support/rig.ts";

test("serves a client of the earlier protocol, built on the earlier SDK", async () => {
  await using rig = await startRig();
  const state = await mkdtemp(join(tmpdir(), "claudecluster-state-"));
  const client = new Client({ name: "older", version: "1.0.0" });
  try {
    const env = { PATH: process.env["PATH"] ?? "", ANTHROPIC_BASE_URL: rig.model.url, ANTHROPIC_API_KEY: rig.key };
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [CLAUDECLUSTER, "mcp"],
        env: { ...env, CLAUDECLUSTER_STATE_DIR: state },
      }),
    );
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(["spawn_claude_container"]);
    let progressCount = 0;
    const args = { task: "[scenario: small-edit]", repository: rig.repository };
    const result = await client.callTool({ name: "spawn_claude_container", arguments: args }, CallToolResultSchema, {
      timeout: 120_000,
      resetTimeoutOnProgress: true,
      onprogress: () => (progressCount += 1),
    });
    expect(result.isError ?? false).toBe(false);
    expect(result.structuredContent).toMatchObject({ state: "succeeded" });
    expect(progressCount).toBeGreaterThan(5);
  } finally {
    await client.close();
    await rm(state, { recursive: true, force: true });
  }
});
