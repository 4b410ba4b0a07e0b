import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { git } from "../model/small-repository.ts";
import { CLAUDECLUSTER } from "../support/mcp-client.ts";
import { startRig } from "../support/rig.ts";

const CLAUDE = fileURLToPath(new URL("../../node_modules/.bin/claude", import.meta.url));

test("a real Claude Code with our server in its .mcp.json has a second one change a repository", async () => {
  await using rig = await startRig();
  const home = await mkdtemp(join(tmpdir(), "claudecluster-parent-"));
  try {
    const project = join(home, "project");
    await git(home, "init", "-q", project);
    const env = { ANTHROPIC_BASE_URL: rig.model.url, ANTHROPIC_API_KEY: rig.key };
    const server = { type: "stdio", command: process.execPath, args: [CLAUDECLUSTER, "mcp"], env: rig.mcp.place.env };
    await writeFile(join(project, ".mcp.json"), JSON.stringify({ mcpServers: { claudecluster: server } }));
    const call = { task: "[scenario: multi-file-change] Improve the greeter.", repository: rig.repository };
    const child = spawn(
      CLAUDE,
      [
        "-p",
        `[scenario: spawn-child ${JSON.stringify(call)}]`,
        "--output-format",
        "stream-json",
        "--verbose",
        "--permission-mode",
        "bypassPermissions",
      ],
      {
        cwd: project,
        env: {
          PATH: process.env["PATH"],
          HOME: home,
          IS_SANDBOX: "1",
          CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
          ...env,
        },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const messages = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const result = messages.find(({ type }) => type === "result");
    expect(result, err).toMatchObject({ is_error: false });
    expect(messages.find(({ subtype }) => subtype === "init")).toMatchObject({
      // Pending where this machine is busy: the call below waits for it.
      mcp_servers: [{ name: "claudecluster", status: expect.stringMatching(/^(connected|pending)$/) }],
    });
    // The scripted parent reports the tool's result: the child's session, its changes, its patch.
    expect(String(result?.["result"])).toMatch(/ses_[0-9A-Z]{26}/);
    expect(String(result?.["result"])).toContain("src/greet.js");
    expect(String(result?.["result"])).toContain("diff --git");
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
