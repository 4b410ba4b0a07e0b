import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import * as z from "zod";
import { HostLink } from "../daemon/host-link.ts";
import { makeHostDirectories, type TestDirectories } from "../../test/support/host-directories.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SKILLS = ["compare", "fan-out", "review-and-apply"];

const readJson = async (path: string) => JSON.parse(await readFile(join(ROOT, path), "utf8")) as { version: string };

/** Runs a program in a home and with a host of its own, and returns what it prints. */
async function run({ root, env }: TestDirectories, command: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, {
    cwd: root,
    env: {
      ...{ ...env, HOME: root, TMPDIR: root, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" },
      // What a server writes beside the package when it ends could meet the package's removal.
      NODE_DISABLE_COMPILE_CACHE: "1",
    },
  });
  return stdout;
}

const claude = (place: TestDirectories, ...args: string[]) =>
  run(place, join(ROOT, "node_modules/.bin/claude"), ...args);

test("Claude Code takes the package for a marketplace and a plugin, of the package's version, without a warning", async () => {
  await using place = await makeHostDirectories();
  const marketplace = await claude(place, "plugin", "validate", "--strict", ROOT);
  expect(marketplace).toContain("Validating marketplace manifest");
  const plugin = await claude(place, "plugin", "validate", "--strict", join(ROOT, ".claude-plugin/plugin.json"));
  for (const provided of ["mcpServers: claudecluster", "monitors: sessions"]) expect(plugin).toContain(provided);
  for (const skill of SKILLS) expect(plugin).toContain(`skills: claudecluster:${skill}`);
  expect((await readJson(".claude-plugin/plugin.json")).version).toBe((await readJson("package.json")).version);
});

test("the package, installed from its marketplace, its skills are there and its server connects", async () => {
  await using place = await makeHostDirectories();
  await place.configure({});
  // As it is packed: where there is a lock file, Claude Code installs all that it names.
  const packed = await run(place, "npm", "pack", "--silent", ROOT);
  await run(place, "tar", "-xzf", packed.trim());
  await claude(place, "plugin", "marketplace", "add", join(place.root, "package"));
  await claude(place, "plugin", "install", "claudecluster@claudecluster");
  expect(await claude(place, "plugin", "details", "claudecluster")).toContain(`Skills (3)  ${SKILLS.join(", ")}`);
  const listed = await claude(place, "mcp", "list");
  // The server was ended while it started the host: that is there by now or later, and ends with its directories.
  using link = new HostLink({
    ...place,
    command: [process.execPath, join(place.root, "package/dist/host/claudecluster.mjs")],
  });
  await link.connect();
  expect(listed).toMatch(/^plugin:claudecluster:claudecluster: .* mcp - ✔ Connected$/m);
});

/** What the registry's schema of 2025-12-11 demands of what we say in server.json. Anything else in there is refused. */
const SERVER = z.strictObject({
  $schema: z.literal("https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"),
  name: z.string().regex(/^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/),
  title: z.string().min(1).max(100),
  description: z.string().min(1).max(100),
  version: z.string().regex(/^\d+\.\d+\.\d+$/),
  packages: z.tuple([
    z.strictObject({
      registryType: z.literal("npm"),
      identifier: z.string(),
      version: z.string().regex(/^\d+\.\d+\.\d+$/),
      runtimeHint: z.literal("npx"),
      transport: z.strictObject({ type: z.literal("stdio") }),
      packageArguments: z.array(z.strictObject({ type: z.literal("positional"), value: z.string() })),
      environmentVariables: z.array(
        z.strictObject({
          name: z.string(),
          description: z.string(),
          format: z.enum(["string", "number", "boolean", "filepath"]).optional(),
        }),
      ),
    }),
  ]),
});

test("server.json is what the registry takes, and is of the package", async () => {
  const { name, version, mcpName } = z
    .object({ name: z.string(), version: z.string(), mcpName: z.string() })
    .parse(await readJson("package.json"));
  const server = SERVER.parse(await readJson("server.json"));
  expect(server).toMatchObject({ name: mcpName, version, packages: [{ identifier: name, version }] });
});
