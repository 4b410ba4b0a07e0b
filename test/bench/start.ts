import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CLAUDECLUSTER } from "../support/mcp-client.ts";
import { inTurn, type Part } from "./part.ts";

/** Rounds of starts: they are short, and differ. */
const ROUNDS = 20;

const CLIENT = { name: "bench", version: "1" };
const INITIALIZE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: CLIENT };
const DISCOVER = {
  _meta: {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
  },
};
const request = (method: string, params: object) =>
  `${JSON.stringify({ jsonrpc: "2.0", id: method, method, params })}\n`;

/** How a program is started, and what it is asked. */
interface Start {
  /** Arguments of Node. */
  args: string[];
  /** Requests that it gets on standard input; it has answered with as many lines. Default: none, and it exits by itself. */
  requests?: string[];
  env?: Record<string, string>;
}

/** What Claude Code waits for when it starts the server: from exec to the first answer, against Node that does nothing. */
export const start: Part = async ({ figures, say }) => {
  const place = await mkdtemp(join(tmpdir(), "claudecluster-bench-"));
  const mcp = (...requests: string[]) => ({ args: [CLAUDECLUSTER, "mcp"], requests });
  const [initialize, discover] = [request("initialize", INITIALIZE), request("server/discover", DISCOVER)];
  const starts: Record<string, Start> = {
    "node -e 0": { args: ["-e", "0"] },
    "claudecluster version": { args: [CLAUDECLUSTER, "version"] },
    "claudecluster mcp, initialize": mcp(initialize),
    "claudecluster mcp, server/discover": mcp(discover),
    "claudecluster mcp, with tools/list behind it": mcp(discover, request("tools/list", DISCOVER)),
    // As after an installation: nothing was compiled before.
    "claudecluster mcp, server/discover, first start": { ...mcp(discover), env: { NODE_DISABLE_COMPILE_CACHE: "1" } },
  };
  const measures = Object.fromEntries(
    Object.entries(starts).map(([name, given]) => [name, () => timeStart(given, place)]),
  );
  try {
    for (let round = 0; round <= ROUNDS; round++) {
      say(`starts ${round} of ${ROUNDS}`);
      const took = await inTurn(round, measures);
      // The first round fills the caches.
      if (round === 0) continue;
      for (const [name, ms] of Object.entries(took)) {
        figures.add(name, ms);
        if (name !== "node -e 0") figures.addRatio(`${name} / node -e 0`, ms, took["node -e 0"]!);
      }
    }
  } finally {
    await rm(place, { recursive: true, force: true });
  }
};

/** Starts a program, in a home of its own, and returns when it had answered (ms). It ends as its client goes. */
async function timeStart({ args, requests = [], env }: Start, home: string): Promise<number> {
  const begun = performance.now();
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env["PATH"], HOME: home, TMPDIR: home, XDG_RUNTIME_DIR: home, ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  child.stdin.write(requests.join(""));
  let lines = 0;
  const answered = new Promise<void>((resolve) => {
    child.stdout.on("data", (text: Buffer) => {
      lines += text.toString().split("\n").length - 1;
      if (lines === requests.length) resolve();
    });
  });
  await (requests.length === 0 ? exited : answered);
  const took = performance.now() - begun;
  child.stdin.end();
  await exited;
  return took;
}
