import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { containersOf, docker } from "../support/docker.ts";
import { startGitServer } from "../support/git-server.ts";
import { startMcpServer } from "../support/mcp-client.ts";
import { searchMemory } from "../support/process-memory.ts";
import { startRig } from "../support/rig.ts";

/** What must be found where it is looked for: a part of the task. */
const CONTROL = "canary-control-7c1f";

/** Everything that can be read inside: environments, command lines, memory, files. As root in the container. */
const LOOK_EVERYWHERE = `
  for d in /proc/[0-9]*; do
    [ "\${d#/proc/}" = "$$" ] && continue
    tr '\\0' '\\n' < $d/environ; tr '\\0' ' ' < $d/cmdline; echo
  done 2>/dev/null
  find / -xdev -type f -not -path '/proc/*' -not -path '/sys/*' -not -path '/usr/*' -size -2000k -exec cat {} + 2>/dev/null
  for t in /tmp /home/claude /workspace /base /scan /run /dev/shm /opt; do find $t -type f -exec cat {} + 2>/dev/null; done
  true`;

/** A secret in the forms in which it could be found. */
function formsOf(secret: string): string[] {
  const base64 = Buffer.from(secret).toString("base64").slice(4, 40);
  return [secret, base64, Buffer.from(secret).toString("hex")];
}

test("key and git token are nowhere inside: not in environments, command lines, memory, files, events, logs or the host's store", async () => {
  await using world = await startRig();
  const token = `ghp-${randomBytes(24).toString("hex")}`;
  let logins = 0;
  await using git = await startGitServer({ login: () => ((logins += 1), `me:${token}`) });
  const repository = await git.addRepository("private", SMALL_REPOSITORY);
  await using mcp = await startMcpServer({
    config: {
      base_url: world.model.url,
      credential: { api_key: world.key },
      git_credentials: { [new URL(repository).host]: { username: "me", token } },
    },
  });
  const rig = { ...world, mcp, repository };
  const needles = [...formsOf(rig.key), ...formsOf(token), ...formsOf(`me:${token}`)];
  const id = Promise.withResolvers<string>();
  const working = Promise.withResolvers<undefined>();
  const stop = new AbortController();
  const lines: string[] = [];
  const call = rig.mcp.spawn(
    { task: "[scenario: env-probe processes=all into=probe.txt]", repository: rig.repository },
    { onProgress: (line) => lines.push(line) },
  );
  const second = rig.mcp.spawn(
    { task: `[scenario: long-run seconds=60 steps=20] ${CONTROL}`, repository: rig.repository },
    {
      signal: stop.signal,
      onProgress: (line) => {
        const sessionId = /^session (ses_\w+)$/.exec(line)?.[1];
        if (sessionId !== undefined) id.resolve(sessionId);
        if (/^[AM] /.test(line)) working.resolve(undefined);
      },
    },
  );
  second.catch(() => {});
  const { summary, text } = await call;
  expect(summary?.state).toBe("succeeded");
  // The probe did look: it saw the placeholder.
  expect(summary?.patch ?? text).toContain("ANTHROPIC_API_KEY=");

  await working.promise;
  const sessionId = await id.promise;
  const [containerId] = await containersOf(sessionId);
  const inside: Record<string, string> = {
    inspect: await docker("inspect", containerId!),
    logs: await docker("logs", containerId!),
    "seen by root inside": await docker("exec", containerId!, "sh", "-c", LOOK_EVERYWHERE),
    "seen by Claude's uid": await docker(
      "exec",
      "--user",
      await sessionUid(containerId!),
      containerId!,
      "sh",
      "-c",
      LOOK_EVERYWHERE,
    ),
    "layer of the container": await docker("diff", containerId!),
    progress: lines.join("\n"),
    result: text,
    "the server's log": rig.mcp.stderr(),
  };
  // Nothing is left of a process that is made to crash.
  expect(await docker("exec", "--user", await sessionUid(containerId!), containerId!, "sh", "-c", "ulimit -Hc")).toBe(
    "0",
  );
  const pids = (await docker("top", containerId!, "-eo", "pid")).split("\n").slice(1).map(Number);
  expect(pids.length).toBeGreaterThan(2);
  const remembered: string[] = [];
  for (const pid of pids) {
    try {
      remembered.push(...(await searchMemory(pid, [...needles, CONTROL])));
    } catch (error) {
      // It may have ended meanwhile; what is there has to be read.
      if (existsSync(`/proc/${pid}`)) throw error;
    }
  }
  expect(new Set(remembered), "what the processes remember").toEqual(new Set([CONTROL]));
  stop.abort();
  await rig.mcp.call("stop_session", { session_id: sessionId });
  await rig.mcp.client.close();
  for (const name of await readdir(rig.mcp.stateDirectory)) {
    inside[`store ${name}`] = await readFile(join(rig.mcp.stateDirectory, name), "latin1");
  }
  for (const [where, content] of Object.entries(inside)) {
    for (const needle of needles) expect(content.includes(needle), `${where} holds the key`).toBe(false);
  }
  expect(inside["seen by root inside"]!.length).toBeGreaterThan(10_000);
  expect(inside["seen by Claude's uid"]).toContain("ANTHROPIC_API_KEY=");
  expect(logins).toBeGreaterThan(1);
  expect(rig.model.requests.some(({ headers }) => headers["x-api-key"] === rig.key)).toBe(true);
});

async function sessionUid(containerId: string): Promise<string> {
  return docker("inspect", "--format", '{{index .Config.Labels "dev.claudecluster.uid"}}', containerId);
}
