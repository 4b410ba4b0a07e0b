// node main.ts [PROGRAM]
//
// One real session on a sample repository, with a host of its own that leaves nothing behind. Started by `npm run demo`, and in
// the package, as a bundle, by `claudecluster demo`, which names its own program.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startScriptedModel } from "../model/scripted-model.ts";
import { SMALL_REPOSITORY, writeRepository } from "../model/small-repository.ts";

const PROGRAM = process.argv[2] ?? fileURLToPath(new URL("../../host/bin/claudecluster.mjs", import.meta.url));
/** Entries of config.json for what may be in the environment. */
const CREDENTIALS = {
  ANTHROPIC_API_KEY: "api_key",
  ANTHROPIC_AUTH_TOKEN: "auth_token",
  CLAUDE_CODE_OAUTH_TOKEN: "oauth_token",
};
const REAL_TASK =
  "Make greet() in src/greet.js trim the name and greet the world when the name is empty, and document it in README.md. Keep it short.";

const say = (text: string) => process.stderr.write(`${text}\n`);

let running: ChildProcess | undefined;
// Ctrl-C reaches the command from the terminal, and it ends its session in order.
process.on("SIGINT", () => {});
for (const name of ["SIGTERM", "SIGHUP"] as const) process.on(name, () => running?.kill("SIGINT"));

/** Runs a command to its end, and returns its exit code. */
async function claudecluster(args: string[], env: NodeJS.ProcessEnv, quiet = false): Promise<number> {
  running = spawn(process.execPath, [PROGRAM, ...args], { env, stdio: quiet ? "ignore" : "inherit" });
  const [code] = (await once(running, "close")) as [number | null];
  return code ?? 1;
}

const directory = await mkdtemp(join(tmpdir(), "claudecluster-demo-"));
const place = (name: string) => join(directory, name);
const { CLAUDECLUSTER_HOST: _elsewhere, ...rest } = process.env;
const env = {
  ...rest,
  CLAUDECLUSTER_CONFIG_DIR: place("config"),
  CLAUDECLUSTER_STATE_DIR: place("state"),
  CLAUDECLUSTER_RUNTIME_DIR: place("run"),
};
try {
  const given = Object.entries(CREDENTIALS).find(([name]) => (process.env[name] ?? "") !== "");
  await using model = given === undefined ? await startScriptedModel() : undefined;
  const credential =
    given === undefined ? { api_key: "demo-key-for-the-scripted-model" } : { [given[1]]: process.env[given[0]] };
  const baseUrl = model?.url ?? process.env["ANTHROPIC_BASE_URL"];
  await mkdir(place("config"), { mode: 0o700 });
  const config = { credential, ...(baseUrl !== undefined && baseUrl !== "" && { base_url: baseUrl }) };
  await writeFile(place("config/config.json"), JSON.stringify(config), { mode: 0o600 });
  if (given === undefined) {
    say(
      `Model: no credential is configured (${Object.keys(CREDENTIALS).join(", ")}), so the scripted model plays its part.`,
    );
    say("       Claude Code, the container and git are the real ones.");
  } else say(`Model: the real one, with the credential in ${given[0]}. It stays on this machine.`);
  const task = given === undefined ? "[scenario: multi-file-change] Improve the greeter." : REAL_TASK;
  // Without git no directory can be sent. The files are made in there then.
  const hasGit = spawnSync("git", ["--version"]).status === 0;
  if (hasGit) await writeRepository(place("greeter"), SMALL_REPOSITORY);
  const run = hasGit
    ? ["run", "--repository", place("greeter"), task]
    : ["run", "--no-repository", given === undefined ? "[scenario: write-files prefix=greeting] Greet." : REAL_TASK];
  say(`Runs:  claudecluster ${run.map((word) => (word.includes(" ") ? `"${word}"` : word)).join(" ")}\n`);
  process.exitCode = await claudecluster(run, env);
  if (process.exitCode === 0) {
    say("\nThat was a demo: the session is gone again. Next, add it to Claude Code, and give it a credential:");
    say(`  claude mcp add-json claudecluster '{"command":"claudecluster","args":["mcp"],"alwaysLoad":true}'`);
    say("  printenv ANTHROPIC_API_KEY | claudecluster credential set");
  }
} finally {
  await claudecluster(["shutdown"], env, true);
  await rm(directory, { recursive: true, force: true });
}
