import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import type { SessionSummary } from "../../host/present/session-summary.ts";
import { makeHostDirectories, type TestDirectories } from "./host-directories.ts";
import { DATA } from "../../host/mcp/tool-result.ts";

/** The installed command, as a user's Claude Code starts it. */
export const CLAUDECLUSTER = fileURLToPath(new URL("../../host/bin/claudecluster.mjs", import.meta.url));

/** What a call of a tool that answers with a session came to. */
export interface SpawnOutcome {
  isError: boolean;
  /** The text content, whole. */
  text: string;
  /** Undefined where there is no session. */
  summary: SessionSummary | undefined;
}

export interface CallOptions {
  onProgress?: (message: string) => void;
  signal?: AbortSignal;
  /** Time after which the client gives up (ms). Default: an hour. */
  timeoutMs?: number;
}

/** The real server over stdio, with a client attached. */
export interface McpRig extends AsyncDisposable {
  client: Client;
  place: TestDirectories;
  stateDirectory: string;
  /** Everything that the server wrote to its standard error. */
  stderr(): string;
  pid(): number;
  /** Calls a tool that answers with a session. */
  call(name: string, args: Record<string, unknown>, options?: CallOptions): Promise<SpawnOutcome>;
  spawn(args: Record<string, unknown>, options?: CallOptions): Promise<SpawnOutcome>;
}

export interface McpServerOptions {
  /** What config.json holds. */
  config?: object;
  /** Variables of the server beside those that it needs. */
  env?: Record<string, string>;
  /** The directories of its host; its own by default, which end with it. */
  place?: TestDirectories;
  /** Where it is started. Default: in no repository. */
  cwd?: string;
}

/** Starts the server with these variables and no others of ours, and with a host of its own unless it is given one. */
export async function startMcpServer({ config = {}, env = {}, place, cwd }: McpServerOptions): Promise<McpRig> {
  await using stack = new AsyncDisposableStack();
  const own = place ?? stack.use(await makeHostDirectories());
  if (place === undefined) await own.configure(config);
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [CLAUDECLUSTER, "mcp"],
    env: { ...own.env, ...env },
    cwd: cwd ?? own.root,
    stderr: "pipe",
  });
  let stderr = "";
  transport.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(transport);
  stack.defer(() => client.close());
  const call: McpRig["call"] = async (name, args, { onProgress, signal, timeoutMs = 3_600_000 } = {}) => {
    const result = await client.callTool(
      { name, arguments: args },
      {
        timeout: timeoutMs,
        ...(signal !== undefined && { signal }),
        onprogress: ({ message }) => onProgress?.(message ?? ""),
      },
    );
    const content = result.content as { type: string; text?: string }[];
    return {
      isError: result.isError === true,
      text: content.map((block) => block.text ?? "").join("\n"),
      summary: result._meta?.[DATA] as SessionSummary | undefined,
    };
  };
  const owned = stack.move();
  return {
    client,
    place: own,
    stateDirectory: own.directories.stateDirectory,
    stderr: () => stderr,
    pid: () => transport.pid ?? 0,
    call,
    spawn: (args, options) => call("spawn_claude_container", args, options),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
