import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { CLAUDECLUSTER } from "./mcp-client.ts";
import type { HostRig } from "./rig.ts";

/** Our server as Claude Code reaches it. */
export interface ParentServer extends AsyncDisposable {
  /** Its entry in Claude Code's configuration. */
  entry: object;
  /** Kills the host, and over HTTP the server with it, without a farewell. Whoever needs it has another one. */
  restart(): Promise<void>;
}

/** Where a server is over HTTP, and what it wants to be shown. */
export interface HttpAddress {
  url: string;
  headers: Readonly<Record<string, string>>;
}

/** Ways to our server, by what Claude Code speaks to it. */
export const PARENT_SERVERS = {
  stdio: async ({ place, link }: HostRig): Promise<ParentServer> => ({
    entry: { type: "stdio", command: process.execPath, args: [CLAUDECLUSTER, "mcp"], env: place.env, alwaysLoad: true },
    restart: async () => {
      const { processId } = (await link.find())!;
      process.kill(processId, "SIGKILL");
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
  http: async ({ place }: HostRig): Promise<ParentServer & HttpAddress> => {
    const token = "t".repeat(40);
    const file = join(place.root, "token");
    await writeFile(file, token, { mode: 0o600 });
    const start = async (address: string): Promise<{ child: ChildProcess; url: string }> => {
      const args = [CLAUDECLUSTER, "serve", "--mcp-http", address, "--token-file", file];
      const child = spawn(process.execPath, args, { env: place.env, stdio: ["ignore", "ignore", "pipe"] });
      for await (const line of createInterface({ input: child.stderr })) {
        const url = /^MCP on (.*)$/.exec(line)?.[1];
        if (url !== undefined) return { child, url };
      }
      throw new Error("The server has not started.");
    };
    const end = async (child: ChildProcess, signal: NodeJS.Signals) => {
      child.kill(signal);
      await once(child, "exit");
    };
    const first = await start("127.0.0.1:0");
    const address = { url: first.url, headers: { Authorization: `Bearer ${token}` } };
    let { child } = first;
    return {
      ...address,
      entry: { type: "http", ...address, alwaysLoad: true },
      restart: async () => {
        await end(child, "SIGKILL");
        ({ child } = await start(new URL(first.url).host));
      },
      [Symbol.asyncDispose]: () => end(child, "SIGTERM"),
    };
  },
};
