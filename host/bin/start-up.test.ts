import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BundledHost, bundleHost } from "../../test/support/bundle-host.ts";

// Claude Code starts this program each time that it starts itself, and waits for its first answer. How long that takes depends
// on the machine; what is loaded for it does not.

let directory: string;
let host: BundledHost;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "claudecluster-start-"));
  host = await bundleHost({ version: "1.2.3" });
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

/** Tells on file descriptor 3 what had been loaded when the first line was written: files of ours, and modules of Node. */
const WITNESS = `
import { writeSync } from "node:fs";
import { registerHooks } from "node:module";
const files = [];
registerHooks({ load: (url, context, next) => (files.push(url), next(url, context)) });
const { write } = process.stdout;
process.stdout.write = function (...given) {
  if (files.told !== (files.told = true)) writeSync(3, JSON.stringify({ files, own: process.moduleLoadList }));
  return write.apply(this, given);
};`;

/** What a command has loaded until its first line. It gets the input, and is ended after its first line. */
async function loadedBy(command: string, input = "") {
  const [node, program] = host.command as [string, string];
  const witness = `data:text/javascript,${encodeURIComponent(WITNESS)}`;
  const child = spawn(node, ["--import", witness, program, command], {
    env: { PATH: process.env["PATH"], HOME: directory, TMPDIR: process.env["TMPDIR"] },
    stdio: ["pipe", "pipe", "inherit", "pipe"],
  });
  child.stdin!.write(input);
  const exited = once(child, "exit");
  let told = "";
  child.stdio[3]!.on("data", (text: Buffer) => (told += text.toString()));
  await once(child.stdout!, "data");
  child.kill("SIGKILL");
  await exited;
  const { files, own } = JSON.parse(told) as { files: string[]; own: string[] };
  const texts = files.filter((url) => url.startsWith("file:")).map((url) => readFileSync(new URL(url), "utf8"));
  const packages = texts.flatMap((text) => [...text.matchAll(/^\/\/ node_modules\/((?:@[^/]+\/)?[^/]+)/gm)]);
  return {
    packages: [...new Set(packages.map(([, name]) => name))].sort(),
    count: texts.length,
    kilobytes: texts.reduce((sum, text) => sum + text.length, 0) / 1000,
    costlyOfNode: own.filter((name) => /^NativeModule (http2|internal\/deps\/undici\/undici)$/.test(name)),
  };
}

test("version loads the command line and nothing else", async () => {
  const { packages, count, kilobytes, costlyOfNode } = await loadedBy("version");
  expect(packages).toEqual(["commander"]);
  expect(costlyOfNode).toEqual([]);
  expect(count).toBeLessThan(12);
  expect(kilobytes).toBeLessThan(150);
});

const INITIALIZE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };
const DISCOVER = {
  _meta: {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  },
};

test.each([
  ["initialize", INITIALIZE],
  ["server/discover", DISCOVER],
])("mcp answers %s without what speaks to a host or an engine", async (method, params) => {
  const request = { jsonrpc: "2.0", id: 0, method, params };
  const { packages, count, kilobytes, costlyOfNode } = await loadedBy("mcp", `${JSON.stringify(request)}\n`);
  expect(packages).toEqual(expect.arrayContaining(["@modelcontextprotocol/server", "zod"]));
  expect(packages).not.toContain("@connectrpc/connect");
  expect(packages).not.toContain("dockerode");
  expect(packages).not.toContain("pino");
  expect(costlyOfNode).toEqual([]);
  expect(count).toBeLessThan(40);
  expect(kilobytes).toBeLessThan(1450);
});
