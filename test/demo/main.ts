// One real session through the real MCP server, on a sample repository. Started by `npm run demo`.
import { usageText } from "../../host/present/usage-text.ts";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { startScriptedModel } from "../model/scripted-model.ts";
import { startGitServer } from "../support/git-server.ts";
import { startMcpServer } from "../support/mcp-client.ts";

const CREDENTIALS = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];
const ENTRIES: Record<string, string> = { ANTHROPIC_API_KEY: "api_key", ANTHROPIC_AUTH_TOKEN: "auth_token" };
const PASSED_ON = ["DOCKER_HOST", "CLAUDECLUSTER_IMAGE"];

const say = (text: string) => process.stdout.write(`${text}\n`);
const configured = CREDENTIALS.find((name) => (process.env[name] ?? "") !== "");

await using repositories = await startGitServer();
await using model = configured === undefined ? await startScriptedModel() : undefined;
const env: Record<string, string> = {};
for (const name of PASSED_ON) {
  const value = process.env[name];
  if (value !== undefined) env[name] = value;
}
const baseUrl = model?.url ?? process.env["ANTHROPIC_BASE_URL"];
const credential =
  configured === undefined
    ? { api_key: "demo-key-for-the-scripted-model" }
    : { [ENTRIES[configured] ?? "oauth_token"]: process.env[configured] };
const config = { credential, ...(baseUrl && { base_url: baseUrl }) };
if (model === undefined) {
  say(`Model: the real one, with the credential in ${configured}. It stays on the host.`);
} else {
  say(`Model: no credential is configured (${CREDENTIALS.join(", ")}), so the scripted model plays its part.`);
  say("       Claude Code, the container, git and the MCP server are the real ones.");
}

const repository = await repositories.addRepository("greeter", SMALL_REPOSITORY);
const task =
  model === undefined
    ? "Make greet() in src/greet.js trim the name and greet the world when the name is empty, and document it in README.md. Keep it short."
    : "[scenario: multi-file-change] Improve the greeter.";
await using server = await startMcpServer({ config, env });
const { tools } = await server.client.listTools();
say(`MCP:   connected over stdio, tools: ${tools.map(({ name }) => name).join(", ")}`);
say(`Call:  spawn_claude_container { repository: "${repository}", task: "${task}" }\n`);

const startMs = Date.now();
const { isError, summary, text } = await server.spawn(
  { task, repository },
  { onProgress: (line) => say(`${((Date.now() - startMs) / 1000).toFixed(1).padStart(6)}s  ${line}`) },
);
if (summary === undefined || isError) {
  say(`\n${summary?.failure?.message ?? text}`);
  process.exitCode = 1;
} else {
  say(`\n${summary.patch ?? `(patch of ${summary.patch_size_bytes} bytes at ${summary.patch_uri})`}`);
  say(summary.result);
  say(`\nsession   ${summary.session_id} (${summary.state})`);
  say(`container ${summary.container_id.slice(0, 12)} (removed)`);
  say(`changes   ${summary.changes.map(({ kind, path }) => `${kind} ${path}`).join(", ")}`);
  say(`usage     ${usageText(summary.usage)}`);
  say(`timeline  ${summary.phases.map(({ phase, seconds }) => `${phase} ${seconds.toFixed(2)} s`).join(", ")}`);
  say('\nnext      README.md, "Add it to Claude Code": two commands.');
}
