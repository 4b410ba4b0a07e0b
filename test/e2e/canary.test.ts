import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { containersOf, docker } from "../support/docker.ts";
import { startRig } from "../support/rig.ts";

/** Everything that can be read inside: environments, command lines, memory, files. As root in the container. */
const LOOK_EVERYWHERE = `
  for d in /proc/[0-9]*; do
    [ "\${d#/proc/}" = "$$" ] && continue
    tr '\\0' '\\n' < $d/environ; tr '\\0' ' ' < $d/cmdline; echo
  done 2>/dev/null
  find / -xdev -type f -not -path '/proc/*' -not -path '/sys/*' -not -path '/usr/*' -size -2000k -exec cat {} + 2>/dev/null
  for t in /tmp /home/claude /workspace /base /scan /run /dev/shm /opt; do find $t -type f -exec cat {} + 2>/dev/null; done
  true`;

test("the key is nowhere inside: not in environments, command lines, files, events, logs or the host's store", async () => {
  await using rig = await startRig();
  const needles = [rig.key, Buffer.from(rig.key).toString("base64").slice(4, 40), Buffer.from(rig.key).toString("hex")];
  const id = Promise.withResolvers<string>();
  const working = Promise.withResolvers<undefined>();
  const stop = new AbortController();
  const lines: string[] = [];
  const call = rig.mcp.spawn(
    { task: "[scenario: env-probe processes=all into=probe.txt]", repository: rig.repository },
    { onProgress: (line) => lines.push(line) },
  );
  const second = rig.mcp.spawn(
    { task: "[scenario: long-run seconds=60 steps=20]", repository: rig.repository },
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
  expect(rig.model.requests.some(({ headers }) => headers["x-api-key"] === rig.key)).toBe(true);
});

async function sessionUid(containerId: string): Promise<string> {
  return docker("inspect", "--format", '{{index .Config.Labels "dev.claudecluster.uid"}}', containerId);
}
