import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { makeHostDirectories } from "../../test/support/host-directories.ts";
import { installPackage, type PackedPackage, packPackage } from "../../test/support/packed.ts";
import manifest from "../../package.json" with { type: "json" };
import { HostLink } from "../daemon/host-link.ts";
import { socketPath } from "../daemon/runtime-directory.ts";

const MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));

// npm takes some seconds, and on a busy machine many.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let directory: string;
let packed: PackedPackage;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "claudecluster-package-"));
  packed = await packPackage(directory);
});
afterAll(() => rm(directory, { recursive: true }));

/** Runs a program on this Node in a directory, at home there, and returns what it prints. */
async function run(cwd: string, program: string, args: readonly string[]): Promise<string> {
  const { PATH } = process.env;
  const env = { PATH, HOME: cwd, TMPDIR: cwd, NO_COLOR: "1" };
  const { stdout } = await promisify(execFile)(program, args, { cwd, env }).catch(
    (error: { message: string; stdout: string }) => {
      throw new Error(`${error.message}\n${error.stdout}`);
    },
  );
  return stdout;
}

test("the package is small, has no dependency and no script of an installation", () => {
  expect(packed.size).toBeLessThan(5_000_000);
  const paths = packed.files.map(({ path }) => path);
  expect(paths.filter((path) => /\.test\.|\.cache|^node_modules|^(agent|host|proto)\/.*\.ts$/.test(path))).toEqual([]);
  expect(manifest).not.toHaveProperty("dependencies");
  expect(Object.keys(manifest.scripts).filter((name) => /^(pre|post)?(install|prepare|pack)$/.test(name))).toEqual([]);
});

test("publint and attw find nothing wrong with what the package exports", async () => {
  await run(directory, join(MODULES, ".bin/publint"), ["run", packed.tarball, "--strict"]);
  await run(directory, join(MODULES, ".bin/attw"), [packed.tarball, "--profile", "esm-only", "--format", "ascii"]);
});

/** Of somebody who knows the package alone: what is wrong in it does not compile, and the rest talks to a host. */
const STRANGER = `
import { connect } from "node:net";
import { readFileSync } from "node:fs";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AgentService, ERROR_REASONS, isFinal, Session_State, SessionSpecSchema } from "claudecluster";
import { HostService, SessionService } from "claudecluster/control";
import { create, toJson } from "@bufbuild/protobuf";

const socket = process.argv[2]!;
const transport = createGrpcTransport({
  baseUrl: "http://host",
  nodeOptions: { createConnection: () => connect(socket) },
});
const host = createClient(HostService, transport);
const { hostVersion } = await host.getHostInfo({});
const version: string = hostVersion;
const { sessions } = await createClient(SessionService, transport).listSessions({});
const live: boolean[] = sessions.map(({ state }) => !isFinal(state));
// @ts-expect-error: there is no such member
await host.getHostInfo({ nothing: 1 }).catch(() => {});
// @ts-expect-error: a task is text
const spec = create(SessionSpecSchema, { task: 1 === 1 ? "Work." : 1 });
const schema = readFileSync(new URL(import.meta.resolve("claudecluster/proto/agent/v1alpha1/agent_service.proto")), "utf8");
console.log(JSON.stringify({
  version, live,
  spec: toJson(SessionSpecSchema, spec),
  methods: Object.keys(AgentService.method).length,
  described: schema.match(/^ *rpc /gm)!.length,
  final: isFinal(Session_State.SUCCEEDED),
  reason: ERROR_REASONS.SESSION_NOT_FOUND,
}));
`;

test("a stranger's TypeScript program imports the contract with its types, and talks to a host with it", async () => {
  await using place = await makeHostDirectories();
  const project = join(directory, "stranger");
  await mkdir(join(project, "node_modules"), { recursive: true });
  await writeFile(join(project, "package.json"), JSON.stringify({ name: "stranger", type: "module" }));
  await run(project, "npm", ["install", "--offline", "--no-audit", "--no-fund", packed.tarball]);
  for (const name of ["@bufbuild", "@connectrpc", "@types"])
    await symlink(join(MODULES, name), join(project, "node_modules", name));
  await writeFile(join(project, "stranger.ts"), STRANGER);
  const options = ["--strict", "--target", "es2024", "--module", "nodenext", "--types", "node", "--outDir", "out"];
  await run(project, join(MODULES, ".bin/tsc"), [...options, "stranger.ts"]);

  const { root } = await installPackage(packed.tarball, join(directory, "prefix"));
  using link = new HostLink({ ...place, command: [process.execPath, join(root, "dist/host/claudecluster.mjs")] });
  await link.connect();
  const program = [join(project, "out/stranger.js"), socketPath(place.directories.runtimeDirectory)];
  const told = JSON.parse(await run(project, process.execPath, program)) as Record<string, unknown>;
  expect(told).toMatchObject({
    version: manifest.version,
    live: [],
    spec: { task: "Work." },
    methods: told["described"],
    final: true,
    reason: "NOT_FOUND",
  });
  expect(told["methods"]).toBeGreaterThan(5);
});

test("npx runs the package's archive in any directory, and serves MCP", async () => {
  await using place = await makeHostDirectories();
  const elsewhere = join(directory, "elsewhere");
  await mkdir(elsewhere);
  // npm takes a relative path from the next directory above that has node_modules, if there is one.
  const args = ["--yes", "--offline", `file:${packed.tarball}`];
  expect(await run(elsewhere, "npx", [...args, "version"])).toBe(`${manifest.version}\n`);
  const client = new Client({ name: "test", version: "1" });
  const env = { ...place.env, HOME: elsewhere, TMPDIR: elsewhere };
  await client.connect(new StdioClientTransport({ command: "npx", args: [...args, "mcp"], cwd: elsewhere, env }));
  expect(client.getServerVersion()).toMatchObject({ name: "claudecluster", version: manifest.version });
  // With its answer the host is there, and ends with its directories.
  await client.callTool({ name: "list_sessions", arguments: {} });
  await client.close();
});
