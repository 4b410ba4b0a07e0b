import { execFileSync } from "node:child_process";
import { readlinkSync } from "node:fs";
import { expect, inject, test } from "vitest";
import { DockerRuntime } from "../../host/runtime/docker/docker-runtime.ts";
import { docker } from "../support/docker.ts";
import { runningProcesses } from "../support/processes.ts";

const IMAGE = process.env["CLAUDECLUSTER_IMAGE"] ?? "claudecluster/agent:latest";
const { root, programs } = inject("newerEngine");

test("is newer, and healthy", async () => {
  await using runtime = new DockerRuntime();
  const health = await runtime.check({ signal: AbortSignal.timeout(10_000) });
  expect(health).toMatchObject({ healthy: true, description: expect.stringMatching(/^Docker 26\./) });
});

test("consists of its own programs, down to what runs a container", async () => {
  const container = await docker("run", "--detach", "--network", "none", "--entrypoint", "sleep", IMAGE, "infinity");
  try {
    const own = runningProcesses().filter(({ command }) => [root, container].some((name) => command.includes(name)));
    // Other tests have containers on it too.
    const paths = new Set(own.map(({ pid }) => readlinkSync(`/proc/${pid}/exe`).replace(`${programs}/usr/`, "")));
    expect([...paths].sort()).toEqual(["bin/containerd", "bin/containerd-shim-runc-v2", "sbin/dockerd"]);
    const runc = execFileSync(`${programs}/usr/sbin/runc`, ["--version"], { encoding: "utf8" });
    expect(runc).toContain(await docker("info", "--format", "{{.RuncCommit.ID}}"));
  } finally {
    await docker("rm", "--force", container);
  }
});
