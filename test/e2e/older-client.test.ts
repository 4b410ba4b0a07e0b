import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { CallToolResultSchema, ResourceListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { expect, test } from "vitest";
import { makeHostDirectories } from "../support/host-directories.ts";
import { CLAUDECLUSTER } from "../support/mcp-client.ts";
import { startRig } from "../support/rig.ts";
import { DATA } from "../../host/mcp/tool-result.ts";

test("serves a client of the earlier protocol, built on the earlier SDK", async () => {
  await using rig = await startRig();
  await using place = await makeHostDirectories();
  await place.configure({ base_url: rig.model.url, credential: { api_key: rig.key } });
  const client = new Client({ name: "older", version: "1.0.0" });
  try {
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [CLAUDECLUSTER, "mcp"],
        env: place.env,
        cwd: place.root,
      }),
    );
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain("spawn_claude_container");
    let progressCount = 0;
    let listChangeCount = 0;
    client.setNotificationHandler(ResourceListChangedNotificationSchema, () => void (listChangeCount += 1));
    const args = { task: "[scenario: small-edit]", repository: rig.repository };
    const result = await client.callTool({ name: "spawn_claude_container", arguments: args }, CallToolResultSchema, {
      timeout: 120_000,
      resetTimeoutOnProgress: true,
      onprogress: () => (progressCount += 1),
    });
    expect(result.isError ?? false).toBe(false);
    expect(result._meta?.[DATA]).toMatchObject({ state: "succeeded" });
    expect(progressCount).toBeGreaterThan(5);
    // Begun, and ended: `@` in Claude Code completes what it has read of the list.
    expect(listChangeCount).toBe(2);
    const { resources } = await client.listResources();
    expect(resources.map(({ name }) => name.split(" ")[0])).toEqual(["session", "answer", "patch", "transcript"]);
  } finally {
    await client.close();
  }
});
