import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { docker } from "../support/docker.ts";
import { startGitServer } from "../support/git-server.ts";
import { startMcpServer } from "../support/mcp-client.ts";
import { searchMemory } from "../support/process-memory.ts";
import { startRig } from "../support/rig.ts";

/** What must be found where it is looked for: a part of the task. */
const CONTROL = "canary-control-7c1f";

/** Everything that can be read inside: environments, command lines, files with their names and links, what git has packed. */
const LOOK_EVERYWHERE = `
  for d in /proc/[0-9]*; do
    [ "\${d#/proc/}" = "$$" ] && continue
    tr '\\0' '\\n' < $d/environ; tr '\\0' ' ' < $d/cmdline; echo
  done 2>/dev/null
  find / -xdev -type f -not -path '/proc/*' -not -path '/sys/*' -not -path '/usr/*' -size -2000k -exec cat {} + 2>/dev/null
  for t in /tmp /home/claude /workspace /base /scan /run /dev/shm /opt; do find $t -type f -exec cat {} + 2>/dev/null; done
  find / -printf '%p %l\\n' 2>/dev/null
  for o in $(find /workspace /base /scan -type d -name objects 2>/dev/null); do
    git -c safe.directory='*' --git-dir "$(dirname "$o")" cat-file --batch-all-objects --batch
  done 2>/dev/null
  true`;

/** A secret in the forms in which it could be found. */
function formsOf(secret: string): string[] {
  const base64 = Buffer.from(secret).toString("base64").slice(4, 40);
  // As Node keeps a text that has other letters, too.
  const wide = [...secret].join("\0");
  return [secret, base64, Buffer.from(secret).toString("hex"), wide];
}

/** Every file below a directory, by its path. */
async function filesBelow(directory: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) files[path] = await readFile(path, "latin1");
  }
  return files;
}

/** What a process has open, also of files that have no name any more. */
async function openFiles(pid: number): Promise<string> {
  const paths = (await readdir(`/proc/${pid}/fd`)).map((name) => `/proc/${pid}/fd/${name}`);
  const read = async (path: string) => ((await stat(path)).isFile() ? await readFile(path, "latin1") : "");
  // It may have closed some meanwhile.
  return (await Promise.all(paths.map((path) => read(path).catch(() => "")))).join("\n");
}

test("key and git token are nowhere inside: not in environments, command lines, memory, files, events, logs or the host's and the engine's stores", async () => {
  await using world = await startRig();
  const token = `ghp-${randomBytes(24).toString("hex")}`;
  let logins = 0;
  await using git = await startGitServer({ login: () => ((logins += 1), `me:${token}`) });
  const repository = await git.addRepository("private", SMALL_REPOSITORY);
  const gitCredentials = { [new URL(repository).host]: { username: "me", token } };
  await using mcp = await startMcpServer({
    config: { base_url: world.model.url, credential: { api_key: world.key }, git_credentials: gitCredentials },
  });
  const configure = (credential: object) =>
    mcp.place.configure({ base_url: world.model.url, credential, git_credentials: gitCredentials });
  const rig = { ...world, mcp, repository };
  const needles = [...formsOf(rig.key), ...formsOf(token), ...formsOf(`me:${token}`)];
  const bearer = `Bearer ${rig.key}`;
  const oauth = (beta: unknown) => String(beta).includes("oauth");
  const asked = (how: (headers: IncomingHttpHeaders) => boolean) =>
    rig.model.requests.some(({ headers }) => how(headers));
  const id = Promise.withResolvers<string>();
  const working = Promise.withResolvers<undefined>();
  const stop = new AbortController();
  const lines: string[] = [];
  const call = rig.mcp.spawn(
    { task: "[scenario: env-probe processes=all into=probe.txt]", repository: rig.repository },
    { onProgress: (line) => lines.push(line) },
  );
  const second = rig.mcp.spawn(
    { task: `[scenario: long-run seconds=60 steps=60] ${CONTROL}`, repository: rig.repository },
    {
      signal: stop.signal,
      onProgress: (line) => {
        const sessionId = /^session (ses_\w+)$/.exec(line)?.[1];
        if (sessionId !== undefined) id.resolve(sessionId);
        if (/: [AM] /.test(line)) working.resolve(undefined);
      },
    },
  );
  second.catch(() => {});
  const { summary, text } = await call;
  expect(summary?.state).toBe("succeeded");
  // The probe did look: it saw the placeholder.
  expect(summary?.patch ?? text).toContain("ANTHROPIC_API_KEY=");

  await working.promise;
  expect(asked((headers) => headers["x-api-key"] === rig.key)).toBe(true);
  // The other kinds of credential, while the session is under way.
  const shows = (how: Parameters<typeof asked>[0]) => expect.poll(() => asked(how), { timeout: 20_000 }).toBe(true);
  await configure({ auth_token: rig.key });
  await shows(({ authorization, "anthropic-beta": beta }) => authorization === bearer && !oauth(beta));
  await configure({ oauth_token: rig.key });
  await shows(({ authorization, "anthropic-beta": beta }) => authorization === bearer && oauth(beta));
  const sessionId = await id.promise;
  const { container_id: containerId } = (await rig.mcp.call("get_session", { session_id: sessionId })).summary!;
  const inside: Record<string, string> = {
    inspect: await docker("inspect", containerId),
    logs: await docker("logs", containerId),
    "seen by root inside": await docker("exec", containerId, "sh", "-c", LOOK_EVERYWHERE),
    "seen by Claude's uid": await docker(
      "exec",
      "--user",
      await sessionUid(containerId),
      containerId,
      "sh",
      "-c",
      LOOK_EVERYWHERE,
    ),
    "layer of the container": await docker("diff", containerId),
    progress: lines.join("\n"),
    result: text,
    "the server's log": rig.mcp.stderr(),
  };
  const pids = (await docker("top", containerId, "-eo", "pid")).split("\n").slice(1).map(Number);
  expect(pids.length).toBeGreaterThan(2);
  const remembered: string[] = [];
  for (const pid of pids) {
    try {
      // Nothing is left of a process that is made to crash.
      expect(await readFile(`/proc/${pid}/limits`, "utf8")).toMatch(/^Max core file size +0 +0 /m);
      inside[`open files of ${pid}`] = await openFiles(pid);
      remembered.push(...(await searchMemory(pid, [...needles, CONTROL])));
    } catch (error) {
      // It may have ended meanwhile; what is there has to be read.
      if (existsSync(`/proc/${pid}`)) throw error;
    }
  }
  expect(new Set(remembered), "what the processes remember").toEqual(new Set([CONTROL]));
  const engineDirectory = await docker("info", "--format", "{{.DockerRootDir}}");
  Object.assign(inside, await filesBelow(join(engineDirectory, "containers", containerId)));
  stop.abort();
  await rig.mcp.call("stop_session", { session_id: sessionId });
  for (const args of [["logs"], ["logs", "--json"], ["show", "--json"], ["diff"]]) {
    const { stdout, stderr } = await claudecluster(rig.mcp.place, [...args, sessionId]);
    inside[args.join(" ")] = stdout + stderr;
  }
  await rig.mcp.client.close();
  // The database's log of what it has not taken over yet is a file beside it.
  const stored = await filesBelow(rig.mcp.stateDirectory);
  expect(Object.keys(stored).join()).toMatch(/-wal.*host\.log|host\.log.*-wal/);
  Object.assign(inside, stored);
  for (const [where, content] of Object.entries(inside)) {
    for (const needle of needles) expect(content.includes(needle), `${where} holds the key`).toBe(false);
  }
  expect(inside["seen by root inside"]!.length).toBeGreaterThan(10_000);
  expect(inside["seen by Claude's uid"]).toContain("ANTHROPIC_API_KEY=");
  expect(inside["seen by Claude's uid"]).toMatch(/^[0-9a-f]{40} blob \d+$/m);
  expect(Object.values(stored).join()).toContain(CONTROL);
  expect(logins).toBeGreaterThan(1);
});

async function sessionUid(containerId: string): Promise<string> {
  return docker("inspect", "--format", '{{index .Config.Labels "dev.claudecluster.uid"}}', containerId);
}
