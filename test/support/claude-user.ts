import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { CLAUDE } from "../model/claude-cli.ts";
import { SMALL_REPOSITORY, writeRepository } from "../model/small-repository.ts";
import { CLAUDECLUSTER } from "./mcp-client.ts";
import type { HostRig } from "./rig.ts";
import { startTerminal, type Terminal } from "./terminal.ts";

/** A user's machine: home, project, our command on the PATH, and our server added to Claude Code. */
export interface User extends AsyncDisposable {
  claude(...args: readonly string[]): Promise<Terminal>;
  /** Runs `claude -p` with this prompt to its end. */
  print(prompt: string): Promise<void>;
}

/** Makes a user's machine. `entry`: what Claude Code knows of our server, by default the README's line. */
export async function makeUser(
  rig: Pick<HostRig, "key" | "model" | "place">,
  entry: object = { command: "claudecluster", args: ["mcp"], alwaysLoad: true },
): Promise<User> {
  const home = await mkdtemp(join(tmpdir(), "claudecluster-user-"));
  const project = join(home, "project");
  await writeRepository(project, {
    ...SMALL_REPOSITORY,
    "package.json": JSON.stringify({ scripts: { test: "sleep 3" } }),
  });
  await mkdir(join(home, "bin"));
  await symlink(CLAUDECLUSTER, join(home, "bin/claudecluster"));
  // What Claude Code asks on its first start has been answered.
  const answered = {
    hasCompletedOnboarding: true,
    hasSeenAutoDefaultNudge: true,
    theme: "dark",
    customApiKeyResponses: { approved: [rig.key.slice(-20)] },
    projects: { [project]: { hasTrustDialogAccepted: true } },
  };
  await writeFile(join(home, ".claude.json"), JSON.stringify(answered));
  await mkdir(join(home, ".claude"));
  const settings = { permissions: { defaultMode: "acceptEdits", allow: ["mcp__claudecluster"] } };
  await writeFile(join(home, ".claude/settings.json"), JSON.stringify(settings));
  const env = {
    ...rig.place.env,
    PATH: `${join(home, "bin")}:${process.env["PATH"] ?? ""}`,
    HOME: home,
    LANG: "C.UTF-8",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    ANTHROPIC_BASE_URL: rig.model.url,
    ANTHROPIC_API_KEY: rig.key,
  };
  const add = ["mcp", "add-json", "claudecluster", JSON.stringify(entry)];
  await promisify(execFile)(CLAUDE, add, { cwd: project, env });
  return {
    claude: async (...args) => {
      const terminal = await startTerminal({ command: [CLAUDE, ...args], cwd: project, env });
      await terminal.shows(/^❯/m);
      return terminal;
    },
    print: async (prompt) => {
      const printing = promisify(execFile)(CLAUDE, ["-p", prompt], { cwd: project, env });
      printing.child.stdin?.end();
      await printing;
    },
    [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }),
  };
}
