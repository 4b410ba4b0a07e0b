import { execFile } from "node:child_process";
import { cp, readdir, readFile, rm, stat, truncate } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { expect, test } from "vitest";
import type { SessionSummary } from "../../host/present/session-summary.ts";
import { DATA } from "../../host/mcp/tool-result.ts";
import { SMALL_REPOSITORY, writeRepository } from "../model/small-repository.ts";
import { docker } from "../support/docker.ts";
import { installPackage, packPackage, packVersion } from "../support/packed.ts";
import { startHostRig } from "../support/rig.ts";
import manifest from "../../package.json" with { type: "json" };

const NEXT = "99.0.0";
/** Takes messages until it is stopped, so that it is live for as long as a test wants. */
const STAYS = ["--detach", "--idle-timeout", "600", "--timeout", "900"];

/** The command line of a process. */
async function commandOf(processId: number): Promise<string> {
  return (await readFile(`/proc/${processId}/cmdline`, "utf8")).replaceAll("\0", " ");
}

test("npx's cache is cleared under a server and its host: no session is lost, and a killed host comes back", async () => {
  await using rig = await startHostRig();
  const { place } = rig;
  const cache = join(place.root, "npm");
  const project = join(place.root, "project");
  await writeRepository(project, SMALL_REPOSITORY);
  const { tarball } = await packPackage(place.root);
  const client = new Client({ name: "test", version: "1.0.0" });
  const env = { ...place.env, HOME: place.root, TMPDIR: place.root, npm_config_cache: cache };
  await client.connect(
    new StdioClientTransport({
      ...{ command: "npx", args: ["--yes", "--offline", relative(project, tarball), "mcp"] },
      ...{ cwd: project, env, stderr: "ignore" },
    }),
  );
  const call = async (name: string, args: object) => {
    const answer = await client.callTool({ name, arguments: { ...args } }, { timeout: 120_000 });
    expect(answer._meta?.[DATA], JSON.stringify(answer.content)).toBeDefined();
    return answer._meta?.[DATA] as SessionSummary;
  };
  try {
    const task = "[scenario: small-edit] First.";
    const spawned = { task, repository: rig.repository, wait: false, idle_timeout_seconds: 600, timeout_seconds: 900 };
    const { session_id } = await call("spawn_claude_container", spawned);
    const before = (await rig.link.find())!;
    const kept = join(place.directories.stateDirectory, "program");
    expect(await commandOf(before.processId)).toContain(kept);
    const [copy] = await readdir(kept);

    // A copy that is not whole any more is made anew.
    const entry = join(kept, copy!, "dist/host/claudecluster.mjs");
    await truncate(entry);
    process.kill(before.processId, "SIGKILL");
    await call("list_sessions", {});
    expect((await stat(entry)).size).toBeGreaterThan(0);

    // Without the package the last whole copy counts, and not one that was being made.
    await rm(join(cache, "_npx"), { recursive: true });
    await cp(join(kept, copy!), join(kept, `${copy}.1`), { recursive: true });
    await truncate(join(kept, `${copy}.1`, "dist/host/claudecluster.mjs"));
    process.kill((await rig.link.find())!.processId, "SIGKILL");
    // The server finds no host, and starts another one.
    await call("send_message", { session_id, message: "[scenario: small-edit] Second." });
    const ended = await call("stop_session", { session_id });
    expect(ended).toMatchObject({ patch: expect.stringContaining("+- Second.") as string });
    const after = (await rig.link.find())!;
    expect(after.processId).not.toBe(before.processId);
    expect(await commandOf(after.processId)).toContain(kept);
    expect(await readdir(kept)).toHaveLength(1);

    // What the server does for the first time now was not loaded before. Its project goes in as it lies on disk.
    const own = await call("spawn_claude_container", { task: "[scenario: multi-file-change] Third." });
    expect(own).toMatchObject({ state: "succeeded" });
    await call("apply_changes", { session_id: own.session_id });
  } finally {
    await client.close();
  }
});

test("a newer package is installed over an older one with a live session: it goes on, and the newer host comes after it", async () => {
  const image = `claudecluster/upgraded:${process.pid}`;
  await docker("tag", "claudecluster/agent:latest", image);
  try {
    await using rig = await startHostRig({ config: { image } });
    const { place } = rig;
    const { tarball: older } = await packPackage(place.root);
    const { tarball: newer } = await packVersion(NEXT, join(place.root, "next"));
    const prefix = join(place.root, "prefix");
    const { command } = await installPackage(older, prefix);
    const { command: stale } = await installPackage(older, join(place.root, "stale"));
    const run = async (program: string, ...args: string[]) => {
      const { stdout } = await promisify(execFile)(process.execPath, [program, ...args], {
        cwd: place.root,
        env: { ...place.env, HOME: place.root, TMPDIR: place.root },
      });
      return stdout;
    };
    const running = async () => (JSON.parse(await run(command, "status", "--json")) as { version: string }).version;

    const first = [...STAYS, "[scenario: small-edit] First.", "--repository", rig.repository];
    const id = (await run(command, "run", ...first)).trim();
    await installPackage(newer, prefix);
    expect(await run(command, "version")).toBe(`${NEXT}\n`);
    expect(await run(command, "list", "--live")).toContain(id.slice(-6));
    expect(await run(command, "status")).toMatch(
      new RegExp(`^host +${manifest.version},[^]*^upgrade +.* older than this \\(${NEXT}\\), .* live`, "m"),
    );
    await run(command, "send", id, "[scenario: small-edit] Second.");
    await expect.poll(() => run(command, "diff", id), { timeout: 60_000 }).toContain("+- Second.");
    expect(await running()).toBe(manifest.version);
    await run(command, "stop", id);

    // With its last session the older host has nothing to do any more.
    expect(await run(command, "diff", id)).toContain("+- Second.");
    expect(await running()).toBe(NEXT);
    expect(await readdir(join(place.directories.stateDirectory, "program"))).toEqual([
      expect.stringMatching(`^${NEXT}-`),
    ]);

    // An older command, as of a Claude Code that has not been started anew, works with the newer host.
    const again = [...STAYS, "[scenario: small-edit] Third.", "--repository", rig.repository];
    const other = (await run(stale, "run", ...again)).trim();
    await expect.poll(() => run(stale, "diff", other), { timeout: 60_000 }).toContain("+- Third.");
    await run(stale, "stop", other);
    expect(await run(stale, "status")).toMatch(
      new RegExp(`^upgrade +.* newer than this \\(${manifest.version}\\)`, "m"),
    );
    expect(await running()).toBe(NEXT);
  } finally {
    await docker("image", "rm", image);
  }
});
