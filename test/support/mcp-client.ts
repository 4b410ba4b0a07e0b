import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import type { SessionSummary } from "../../host/present/session-summary.ts";

/** The installed command, as a user's Claude Code starts it. */
export const CLAUDECLUSTER = fileURLToPath(new URL("../../host/bin/claudecluster.mjs", import.meta.url));

/** What a call of the tool came to. */
export interface SpawnOutcome {
  isError: boolean;
  /** The text content, whole. */
  text: string;
  /** Undefined where the tool could not start a session. */
  summary: SessionSummary | undefined;
}

/** The real server over stdio, with a client attached. */
export interface McpRig extends AsyncDisposable {
  client: Client;
  stateDirectory: string;
  /** Everything that the server wrote to its standard error. */
  stderr(): string;
  pid(): number;
  spawn(
    args: Record<string, unknown>,
    options?: { onProgress?: (message: string) => void; signal?: AbortSignal },
  ): Promise<SpawnOutcome>;
}

/** Starts the server with these variables and no others of ours, its state in a directory of its own. */
export async function startMcpServer(env: Record<string, string>): Promise<McpRig> {
  const stateDirectory = await mkdtemp(join(tmpdir(), "claudecluster-state-"));
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [CLAUDECLUSTER, "mcp"],
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: process.env["HOME"] ?? "",
      CLAUDECLUSTER_STATE_DIR: stateDirectory,
      ...env,
    },
    stderr: "pipe",
  });
  let stderr = "";
  transport.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
    if (process.env["DBG"]) process.stderr.write(chunk);
  });
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(transport);
  return {
    client,
    stateDirectory,
    stderr: () => stderr,
    pid: () => transport.pid ?? 0,
    async spawn(args, { onProgress, signal } = {}) {
      const result = await client.callTool(
        { name: "spawn_claude_container", arguments: args },
        {
          timeout: 3_600_000,
          ...(signal !== undefined && { signal }),
          onprogress: ({ message }) => onProgress?.(message ?? ""),
        },
      );
      const content = result.content as { type: string; text?: string }[];
      return {
        isError: result.isError === true,
        text: content.map((block) => block.text ?? "").join("\n"),
        summary: result.structuredContent as SessionSummary | undefined,
      };
    },
    async [Symbol.asyncDispose]() {
      await client.close();
      await rm(stateDirectory, { recursive: true, force: true });
    },
  };
}
