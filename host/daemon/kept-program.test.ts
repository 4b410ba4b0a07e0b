import { execFile } from "node:child_process";
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { makeHostDirectories, type TestDirectories } from "../../test/support/host-directories.ts";
import { installPackage, packPackage } from "../../test/support/packed.ts";
import { HostLink } from "./host-link.ts";

// What this means for sessions is in test/e2e/package.test.ts.

// npm takes some seconds, and on a busy machine many.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let directory: string;
let tarball: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "claudecluster-kept-"));
  ({ tarball } = await packPackage(directory));
});
afterAll(() => rm(directory, { recursive: true }));

/** An installed package, with directories of its own for its host. */
async function install(name: string) {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(await makeHostDirectories());
  const { command, root } = await installPackage(tarball, join(directory, name));
  const run = (...args: string[]) => promisify(execFile)(process.execPath, [command, ...args], { env: place.env });
  const owned = stack.move();
  const kept = join(place.directories.stateDirectory, "program");
  return { place, command, root, run, kept, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** What the running host was started with. */
async function hostCommand(place: TestDirectories): Promise<{ processId: number; text: string }> {
  using link = new HostLink({ ...place });
  const { processId } = (await link.find())!;
  return { processId, text: await readFile(`/proc/${processId}/cmdline`, "utf8") };
}

test("a host runs from one copy of its package, and one of other files from another, which replaces it", async () => {
  await using installed = await install("copied");
  await installed.run("list");
  const first = await readdir(installed.kept);
  expect(first).toHaveLength(1);
  const { text } = await hostCommand(installed.place);
  expect(text).toContain(join(installed.kept, first[0]!));
  // Its memory stays bounded, whatever this Node's own bounds are.
  expect(text).toContain("--max-semi-space-size=8");
  await installed.run("shutdown");
  await installed.run("list");
  expect(await readdir(installed.kept)).toEqual(first);
  await installed.run("shutdown");
  // As of another package that was packed from a clone, with the same version.
  await appendFile(join(installed.root, "docker/agent.Dockerfile"), "\n");
  await installed.run("list");
  const second = await readdir(installed.kept);
  expect(second).toHaveLength(1);
  expect(second).not.toEqual(first);
});

test("a host whose package cannot be copied is started from where that is", async () => {
  await using installed = await install("in-place");
  await mkdir(installed.place.directories.stateDirectory, { mode: 0o700 });
  await writeFile(installed.kept, "in the way");
  await installed.run("list");
  expect((await hostCommand(installed.place)).text).toContain(installed.root);
});

test("a server whose package and whose copy are gone says so, and what to do", async () => {
  await using installed = await install("gone");
  const { place } = installed;
  const client = new Client({ name: "test", version: "1.0.0" });
  const server = { command: process.execPath, args: [installed.command, "mcp"], env: place.env, cwd: place.root };
  await client.connect(new StdioClientTransport(server));
  try {
    const list = async () => (await client.callTool({ name: "list_sessions", arguments: {} })).content;
    expect(JSON.stringify(await list())).toContain("no such sessions");
    const { processId } = await hostCommand(place);
    await rm(installed.root, { recursive: true });
    await rm(installed.kept, { recursive: true });
    process.kill(processId, "SIGKILL");
    expect(JSON.stringify(await list())).toMatch(/HOST_START_FAILED: The files of this program are gone.*npx/);
  } finally {
    await client.close();
  }
});
