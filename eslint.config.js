import tseslint from "typescript-eslint";

/** Imports that a folder must not have, with the reason. */
const forbid = (files, patterns, ignores = []) => ({
  files,
  ignores,
  rules: {
    "@typescript-eslint/no-restricted-imports": ["error", { patterns }],
  },
});
const dockerode = { group: ["dockerode", "docker-modem"], message: "Only host/runtime/docker knows Docker." };
const mcp = { group: ["@modelcontextprotocol/*"], message: "Only host/mcp knows the MCP SDK." };
const agent = { group: ["**/agent/**"], message: "The host never imports the agent." };
const concrete = {
  group: ["**/runtime/docker/**", "**/runtime/fake/**", "**/store/sqlite-store.ts"],
  message: "Only app.ts names concrete classes.",
};
const above = {
  group: ["**/session/**", "**/store/**", "**/broker/**", "**/agent-client/**"],
  message: "Containers and runtimes know nothing of sessions and of what is theirs.",
};
const containers = { group: ["**/containers/**"], message: "A runtime knows nothing of who leases its containers." };
const boundaries = {
  group: ["cli", "mcp", "control", "daemon", "page-server", "backup", "export"].map((folder) => `**/${folder}/**`),
  message: "Boundaries use the session layer, never the other way.",
};
const alone = {
  group: ["**/session/**", "**/store/**", "**/containers/**", "**/runtime/**", "**/broker/**", "**/agent-client/**"],
  message: "A repository of the user's knows nothing of sessions, nor of what they run in.",
};
const page = {
  group: ["**/page/**"],
  message: "The page runs in a browser, and the host serves what was built of it.",
};
const browser = { group: ["node:*"], message: "The page runs in a browser." };
/** Imports that lead out of the page, but for proto and the words for what is shown. */
const outOfPage = (up) => ({
  regex: String.raw`^${up}\.\./(?!\.\./proto/|present/)`,
  message: "The page knows proto, host/present and itself.",
});
const agentClient = { group: ["**/agent-client/**"], message: "Only the session layer talks to agents." };

/** Imports of the broker's files beside their own room, broker/ itself and proto. */
const beside = {
  regex: String.raw`^\.\./(?:[a-z-]+/|\.\./(?!\.\./proto/))`,
  message: "A gateway knows neither the others nor the rest of the host.",
};
const rooms = {
  regex: String.raw`^(?:\./[a-z-]+/|\.\./(?!\.\./proto/))`,
  message: "What the gateways share knows none of them, nor the rest of the host; broker.ts puts them together.",
};

/** Exported declarations have a doc comment of three words or more; of overloads the first one has it. */
const docComment = {
  create: (context) => ({
    "Program > ExportNamedDeclaration[declaration]"(node) {
      const { sourceCode } = context;
      const name = ({ declaration }) => declaration?.id?.name ?? declaration?.declarations?.[0].id.name;
      const siblings = node.parent.body;
      const before = siblings[siblings.indexOf(node) - 1];
      if (before?.declaration?.type === "TSDeclareFunction" && name(before) === name(node)) return;
      const first = node.declaration.decorators?.[0] ?? node;
      const comment = sourceCode.getCommentsBefore(first).at(-1);
      const words = comment?.value.startsWith("*") ? (comment.value.match(/[\w"'(\[][^\s]*/g) ?? []) : [];
      if (words.length < 3) context.report({ node, message: `Say in a doc comment what "${name(node)}" is.` });
    },
  }),
};
/** What users' Node may not have: it is 22.13 or later, and what is built for it brings syntax alone. */
const TOO_NEW = "Node 22.13 does not have it.";
const TOO_NEW_GLOBALS = [
  "AsyncDisposableStack",
  "CloseEvent",
  "DisposableStack",
  "Float16Array",
  "SuppressedError",
  "Temporal",
  "URLPattern",
];
const TOO_NEW_STATICS = {
  Promise: ["try"],
  RegExp: ["escape"],
  Error: ["isError"],
  Math: ["f16round", "sumPrecise"],
  Atomics: ["pause"],
  Iterator: ["concat", "zip", "zipKeyed"],
  Uint8Array: ["fromBase64", "fromHex"],
};
const TOO_NEW_METHODS = [
  "getFloat16",
  "getOrInsert",
  "getOrInsertComputed",
  "setFloat16",
  "setFromBase64",
  "setFromHex",
  "toBase64",
  "toHex",
];

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", "proto/gen/", "**/recordings/"] },
  ...tseslint.configs.strict,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    files: ["**/*.ts"],
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/await-thenable": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      // noUncheckedIndexedAccess asks for "!" where an index is known to be there.
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "no-unused-private-class-members": "error",
      "no-control-regex": "off",
      "no-restricted-exports": ["error", { restrictDefaultExports: { direct: true } }],
    },
  },
  {
    files: ["{agent,host,proto}/**/*.ts"],
    ignores: ["**/*.test.ts"],
    plugins: { claudecluster: { rules: { "doc-comment": docComment } } },
    rules: { "claudecluster/doc-comment": "error" },
  },
  {
    files: ["{host,proto}/**/*.ts"],
    ignores: ["**/*.test.ts"],
    rules: {
      "no-restricted-globals": ["error", ...TOO_NEW_GLOBALS.map((name) => ({ name, message: TOO_NEW }))],
      "no-restricted-properties": [
        "error",
        ...Object.entries(TOO_NEW_STATICS).flatMap(([object, properties]) =>
          properties.map((property) => ({ object, property, message: TOO_NEW })),
        ),
        ...TOO_NEW_METHODS.map((property) => ({ property, message: TOO_NEW })),
      ],
    },
  },
  { files: ["*.ts", "test/support/closing-line-reporter.ts"], rules: { "no-restricted-exports": "off" } },
  forbid(
    ["proto/**/*.ts"],
    [
      { group: ["../host/**", "../agent/**", "../test/**"], message: "proto imports no one." },
      { group: ["node:*"], message: "proto does no I/O." },
    ],
    ["**/*.test.ts"],
  ),
  forbid(
    ["test/conformance/**/*.ts"],
    [{ group: ["**/host/**", "**/agent/**"], message: "The suite is independent of what it judges." }],
    ["**/*.test.ts"],
  ),
  forbid(
    ["agent/**/*.ts"],
    [{ group: ["**/host/**"], message: "The agent never imports the host." }, dockerode, mcp],
    ["**/*.test.ts"],
  ),
  forbid(
    ["host/**/*.ts"],
    [agent, dockerode, mcp, concrete, agentClient, page],
    ["host/page/**", "host/app.ts", "host/engine-filter/**", "host/mcp/**", "host/runtime/**", "**/*.test.ts"],
  ),
  forbid(["host/page/*.ts"], [browser, outOfPage("")], ["**/*.test.ts"]),
  forbid(["host/page/*/*.ts"], [browser, outOfPage(String.raw`\.\./`)], ["**/*.test.ts"]),
  forbid(["host/mcp/**/*.ts"], [agent, dockerode, concrete, agentClient], ["**/*.test.ts"]),
  forbid(
    ["host/runtime/*.ts", "host/runtime/fake/**/*.ts"],
    [agent, dockerode, mcp, boundaries, above, containers],
    ["**/*.test.ts"],
  ),
  forbid(
    ["host/{engine-filter,runtime/docker}/**/*.ts"],
    [agent, mcp, boundaries, above, containers],
    ["**/*.test.ts"],
  ),
  forbid(["host/results/**/*.ts"], [agent, dockerode, mcp, concrete, boundaries], ["**/*.test.ts"]),
  forbid(["host/containers/**/*.ts"], [agent, dockerode, mcp, concrete, boundaries, above], ["**/*.test.ts"]),
  forbid(
    ["host/{session,store,agent-client}/**/*.ts"],
    [agent, dockerode, mcp, concrete, boundaries],
    ["**/*.test.ts"],
  ),
  forbid(["host/repository/**/*.ts"], [agent, dockerode, mcp, boundaries, alone], ["**/*.test.ts"]),
  forbid(
    ["host/rpc/**/*.ts"],
    [
      dockerode,
      mcp,
      { regex: String.raw`^\.\./(?!\.\./proto/)`, message: "What any gRPC end needs knows none of them." },
    ],
    ["**/*.test.ts"],
  ),
  forbid(["host/broker/*/*.ts"], [dockerode, mcp, beside], ["**/*.test.ts"]),
  forbid(["host/broker/*.ts"], [dockerode, mcp, rooms], ["host/broker/broker.ts", "**/*.test.ts"]),
  forbid(["host/broker/broker.ts"], [agent, dockerode, mcp, concrete, boundaries]),
);
