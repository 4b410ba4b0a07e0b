import { spawn } from "node:child_process";
import { once } from "node:events";
import { glob, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

// npm run conformance:mcp
//
// Holds our MCP server against the protocol's conformance suite, at both revisions. Fetches the suite from npm.

const SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12";
const CLAUDECLUSTER = fileURLToPath(new URL("../host/bin/claudecluster.mjs", import.meta.url));

/** Why a check may fail: what it asks for is no part of this server. Every other failure is a fault. */
const EXCEPTIONS: readonly (readonly [message: RegExp, reason: string])[] = [
  [/[Tt]ool '?\w+'? not found|Prompt \w+ not found|Resource not found: test:/, "wants a fixture of the suite's own"],
  [/^Not testable|could not get initial|unavailable/, "could not be tried without such a fixture"],
  [/^Expected InputRequiredResult/, "wants a fixture that asks for input"],
  [/Method not found/, "wants a feature that is not declared"],
  [/extensions MUST be advertised|returned error code -32602; spec requires|got -32601/, "wants the tasks extension"],
];

interface Check {
  id: string;
  status: string;
  errorMessage?: string;
}

const directory = await mkdtemp(join(tmpdir(), "claudecluster-mcp-"));
const token = "t".repeat(40);
const file = join(directory, "token");
await writeFile(file, token, { mode: 0o600 });
await mkdir(join(directory, "config"), { mode: 0o700 });
const env = {
  ...process.env,
  CLAUDECLUSTER_CONFIG_DIR: join(directory, "config"),
  CLAUDECLUSTER_STATE_DIR: join(directory, "state"),
  CLAUDECLUSTER_RUNTIME_DIR: join(directory, "run"),
};
const args = [CLAUDECLUSTER, "serve", "--mcp-http", "127.0.0.1:0", "--token-file", file];
const host = spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "pipe"] });
let port = 0;
for await (const line of createInterface({ input: host.stderr })) {
  port = Number(/^MCP on .*:(\d+)\/mcp$/.exec(line)?.[1] ?? 0);
  if (port > 0) break;
}
// The suite has no way to show a token.
const door = createServer((incoming, answer) => {
  const { method, url: path, headers } = incoming;
  const to = { host: "127.0.0.1", port, method, path, headers: { ...headers, authorization: `Bearer ${token}` } };
  const onward = request(to, (came) => came.pipe(answer.writeHead(came.statusCode!, came.headers)));
  incoming.pipe(onward.on("error", () => answer.destroy()));
}).listen(0, "127.0.0.1");
await once(door, "listening");
try {
  const url = `http://127.0.0.1:${(door.address() as AddressInfo).port}/mcp`;
  for (const revision of ["2025-11-25", "2026-07-28"]) {
    const results = join(directory, revision);
    const suite = ["--yes", SUITE, "server", "--url", url, "--requirements", revision, "-o", results];
    // What it exits with counts the fixtures that are not there.
    await once(spawn("npx", suite, { stdio: "ignore" }), "close");
    const checks: (Check & { scenario: string })[] = [];
    for await (const path of glob(join(results, "**/checks.json"))) {
      const scenario = path.slice(results.length + 1).replace(/-\d{4}-\d\d-\d\dT.*/, "");
      checks.push(...(JSON.parse(await readFile(path, "utf8")) as Check[]).map((check) => ({ ...check, scenario })));
    }
    const passed = checks.filter(({ status }) => status === "SUCCESS").length;
    const failed = checks.filter(({ status }) => status === "FAILURE");
    console.log(`${revision}: ${passed} checks passed`);
    if (passed === 0) process.exitCode = 1;
    const why = ({ errorMessage = "" }: Check) =>
      EXCEPTIONS.find(([message]) => message.test(errorMessage))?.[1] ?? "FAULT";
    for (const [reason, those] of Map.groupBy(failed, why)) {
      console.log(`  ${those.length} failed: ${reason}`);
      if (reason !== "FAULT") continue;
      process.exitCode = 1;
      for (const { scenario, id, errorMessage } of those) console.log(`    ${scenario} ${id}: ${errorMessage}`);
    }
  }
} finally {
  door.close();
  door.closeAllConnections();
  host.kill();
  await once(host, "exit");
  await rm(directory, { recursive: true, force: true });
}
