#!/usr/bin/env node
// node docker/build.mjs
//
// Bundles the agent into one file below dist/, of which its image makes a snapshot, and the host into dist/host/, with the demo, the page,
// and with the version of package.json; compiles the contract, for programs that import it, into dist/contract/. Needs `npm ci`
// only.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, parse } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { main } from "./setup/main.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * What is loaded at once and nobody uses here. Of dockerode: engines over ssh, with native code, and sessions of BuildKit, with the
 * gRPC of another library. Of grpc-js: its client.
 * @type {import("esbuild").Plugin}
 */
const without = {
  name: "without",
  setup: ({ onLoad }) =>
    onLoad(
      {
        filter:
          /[\\/](docker-modem[\\/]lib[\\/]ssh|dockerode[\\/]lib[\\/]session|grpc-js[\\/]build[\\/]src[\\/](make-client|channel-credentials))\.js$/,
      },
      () => ({
        contents: "",
      }),
    ),
};

/** What the agent uses of grpc-js: each of these names, and the file that has it. */
const GRPC_SERVER = {
  Server: "server",
  ServerCredentials: "server-credentials",
  ServerInterceptingCall: "server-interceptors",
  Metadata: "metadata",
};

/**
 * Of grpc-js the server alone, and each part of it when it is first used: the client is as long to load, and Node's HTTP/2 cannot
 * be in a snapshot.
 * @type {import("esbuild").Plugin}
 */
const grpcServer = {
  name: "grpc-server",
  setup({ onLoad }) {
    const getters = Object.entries(GRPC_SERVER).map(
      ([name, file]) => `get ${name}() { return require("./${file}").${name}; }`,
    );
    const contents = `module.exports = { ${getters.join(", ")} };`;
    onLoad({ filter: /grpc-js[\\/]build[\\/]src[\\/]index\.js$/ }, () => ({ contents }));
    // What the index does besides: it has addresses understood.
    const setUp = ["uds", "ip", "dns"].map((name) => `require("./resolver-${name}").setup();`);
    onLoad({ filter: /grpc-js[\\/]build[\\/]src[\\/]resolver\.js$/ }, ({ path }) => ({
      contents: [readFileSync(path, "utf8"), ...setUp].join("\n"),
    }));
  },
};

/**
 * The MCP SDK's smaller validator of JSON schemas in place of its usual one (40 kB for 290), which a start would load each time.
 * @type {import("esbuild").Plugin}
 */
const smallValidator = {
  name: "small-validator",
  setup: ({ onLoad }) =>
    onLoad({ filter: /@modelcontextprotocol[\\/]server[\\/]dist[\\/]shimsNode\.mjs$/ }, () => ({
      contents: `
        export { CfWorkerJsonSchemaValidator as DefaultJsonSchemaValidator } from "@modelcontextprotocol/server/validators/cf-worker";
        export { default as process } from "node:process";`,
    })),
};

/**
 * Node's modules that are taken without an import statement, since that evaluates every getter of theirs: those of http load
 * a whole other client (40 ms).
 * @type {import("esbuild").Plugin}
 */
const builtins = {
  name: "builtins",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?(http|process)$/ }, ({ path, kind }) =>
      kind === "import-statement" ? { path, namespace: "builtin" } : undefined,
    );
    onLoad({ filter: /^/, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};

/**
 * The skills of the plugin, which the host offers as prompts.
 */
const SKILLS = join(ROOT, ".claude-plugin/skills");
const skills = Object.fromEntries(
  readdirSync(SKILLS).map((name) => [name, readFileSync(join(SKILLS, name, "SKILL.md"), "utf8")]),
);

/**
 * Bundles a program and all that it imports, for Node 22 and later: an ES module, or CommonJS where the file's name says so.
 * `split`: what it imports when it is needed, such as a command, is a file of its own beside it.
 * @param {{ entry: string, outfile: string, version: string, split?: boolean }} program
 */
export async function bundleProgram({ entry, outfile, version, split = false }) {
  const { name, ext } = parse(outfile);
  const esm = ext === ".mjs";
  await build({
    entryPoints: [{ in: join(ROOT, entry), out: name }],
    outdir: dirname(outfile),
    outExtension: { ".js": ext },
    splitting: split,
    bundle: true,
    platform: "node",
    target: "node22",
    format: esm ? "esm" : "cjs",
    logLevel: "warning",
    // Packages that are CommonJS ask for Node's own modules with require.
    banner: esm ? { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" } : {},
    define: {
      "process.env.CLAUDECLUSTER_VERSION": JSON.stringify(version),
      CLAUDECLUSTER_SKILLS: JSON.stringify(skills),
    },
    plugins: [without, smallValidator, builtins, grpcServer],
  });
}

/** Of Node alone: what the page shares with the host must do without, as far as the page uses it. */
const NODE_GLOBALS = ["Buffer", "global", "setImmediate", "clearImmediate", "__dirname", "__filename"];

/**
 * Bundles the page for browsers, with its style, document and icon beside it. Throws where it would need Node.
 * @param {{ outdir: string }} page
 */
async function bundlePage({ outdir }) {
  await build({
    entryPoints: ["main.ts", "style.css", "index.html", "icon.svg"].map((name) => join(ROOT, "host/page", name)),
    outdir,
    bundle: true,
    minify: true,
    platform: "browser",
    target: ["chrome120", "firefox121", "safari17"],
    format: "esm",
    loader: { ".html": "copy", ".svg": "copy" },
    define: Object.fromEntries(NODE_GLOBALS.map((name) => [name, `NODE_HAS_${name}`])),
    logLevel: "warning",
  });
  const [used] = readFileSync(join(outdir, "main.js"), "utf8").match(/(?<=NODE_HAS_)\w+/) ?? [];
  if (used !== undefined) throw new Error(`The page uses ${used}, which browsers do not have.`);
}

await main(import.meta.url, async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  await bundleProgram({ entry: "agent/main.ts", outfile: join(ROOT, "dist/agent.cjs"), version });
  const [host, contract] = [join(ROOT, "dist/host"), join(ROOT, "dist/contract")];
  // Parts of an earlier build have other names.
  for (const old of [host, contract, join(ROOT, "dist/.cache")]) rmSync(old, { recursive: true, force: true });
  await bundleProgram({ entry: "host/main.ts", outfile: join(host, "claudecluster.mjs"), version, split: true });
  const thread = "check-thread";
  await bundleProgram({ entry: `host/broker/model/${thread}.ts`, outfile: join(host, `${thread}.mjs`), version });
  await bundleProgram({ entry: "test/demo/main.ts", outfile: join(host, "demo.mjs"), version });
  await bundlePage({ outdir: join(host, "page") });
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [compiler, "--project", join(ROOT, "tsconfig.contract.json")], { stdio: "inherit" });
});
