import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { FileChange_Kind, FileChangeSchema } from "../../proto/index.ts";
import { findRunsCode, runsCodeNotes } from "./runs-code.ts";

const NEW = { oldMode: "000000", newMode: "100644" };

test.each([
  ".gitattributes",
  "deep/.GitAttributes",
  ".gitmodules",
  ".husky/pre-commit",
  ".pre-commit-config.yaml",
  "lefthook.yml",
  ".envrc",
  "app/.envrc",
  ".tool-versions",
  ".claude/settings.json",
  "pkg/.claude/commands/x.md",
  ".mcp.json",
  "CLAUDE.md",
  ".vscode/tasks.json",
  ".idea/workspace.xml",
  "a.code-workspace",
  ".exrc",
  ".devcontainer/devcontainer.json",
  ".github/workflows/ci.yml",
  ".gitlab-ci.yml",
  "Jenkinsfile",
  ".npmrc",
  ".cargo/config.toml",
  "setup.py",
  "native/binding.gyp",
  ...".lfsconfig .gitconfig .gitconfig-work .githooks/pre-push hooks/post-checkout .lintstagedrc.json .autoenv".split(
    " ",
  ),
  ...".nvmrc rust-toolchain.toml flake.nix .cursor/mcp.json .github/prompts/x.prompt.md .gitpod.yml Dockerfile compose.yaml".split(
    " ",
  ),
  ...".github/actions/x/action.yml .gitlab-ci-extra.yml .yarn/releases/yarn-4.cjs .yarn/plugins/x.cjs .pnp.cjs .pnpmfile.cjs".split(
    " ",
  ),
  ...".mvn/jvm.config .mvn/wrapper/maven-wrapper.jar gradle/wrapper/gradle-wrapper.jar gradlew.bat init.gradle .bazelrc".split(
    " ",
  ),
  ...".yarnrc.yml package-lock.json yarn.lock Cargo.toml go.sum requirements-dev.txt pyproject.toml Gemfile.lock pom.xml App.csproj".split(
    " ",
  ),
  ...".pre-commit-hooks.yaml Makefile rules.mk justfile CMakeLists.txt build.gradle.kts Rakefile BUILD.bazel noxfile.py".split(
    " ",
  ),
  ...".eslintrc.json vite.config.ts jest.config.js tsconfig.json tsconfig.build.json babel.config.json conftest.py tox.ini .gdbinit".split(
    " ",
  ),
])("names %s, which runs something or decides what runs", (path) => {
  expect(findRunsCode([{ path, ...NEW }])).toMatchObject([{ path }]);
});

test.each([
  "src/a.ts",
  "README.md",
  "github/workflows/ci.yml",
  "envrc",
  "docs/setup.md",
  "claude.ts",
  ...[
    "src/config.ts",
    "src/hooks.ts",
    "webhooks/index.ts",
    "src/hooks/useCommit.ts",
    "lib/makefile.ts",
    "src/config/index.ts",
    "docs/docker.md",
    "lock.ts",
  ],
])("says nothing of %s", (path) => {
  expect(findRunsCode([{ path, ...NEW }])).toEqual([]);
});

test("names a package.json only where its scripts are others", () => {
  const before = JSON.stringify({ version: "1", scripts: { test: "vitest", build: "tsc" } });
  const file = (after: object) => [{ path: "package.json", ...NEW, texts: { before, after: JSON.stringify(after) } }];
  expect(findRunsCode(file({ version: "2", scripts: { build: "tsc", test: "vitest" } }))).toEqual([]);
  expect(findRunsCode(file({ version: "1", scripts: { test: "vitest", build: "tsc", postinstall: "x" } }))).toEqual([
    { path: "package.json", why: "its scripts are others" },
  ]);
  expect(
    findRunsCode(file({ scripts: { test: "vitest", build: "tsc" }, devDependencies: { x: "1" }, jest: {} })),
  ).toEqual([{ path: "package.json", why: "its dependencies, settings of tools are others" }]);
  expect(findRunsCode([{ path: "a/package.json", ...NEW, texts: { before: "", after: "{" } }])).toHaveLength(1);
  expect(findRunsCode([{ path: "package.json" }])).toEqual([
    { path: "package.json", why: "its scripts and dependencies may be others" },
  ]);
});

test("names what can be executed now, and links, and nothing that is gone but attributes", () => {
  const files = [
    { path: "new.sh", oldMode: "000000", newMode: "100755" },
    { path: "made.sh", oldMode: "100644", newMode: "100755" },
    { path: "was.sh", oldMode: "100755", newMode: "100755" },
    { path: "link", oldMode: "100644", newMode: "120000" },
    { path: ".envrc", oldMode: "100644", newMode: "000000" },
    { path: ".gitattributes", oldMode: "100644", newMode: "000000" },
  ];
  expect(findRunsCode(files).map(({ path }) => path)).toEqual(["new.sh", "made.sh", "link", ".gitattributes"]);
});

test("a patch's notes name them by the list of changes alone", () => {
  const { ADDED, DELETED, MODE_CHANGED, MODIFIED } = FileChange_Kind;
  const list = [
    ["src/a.ts", MODIFIED],
    ['"\\303\\244/.envrc"', ADDED],
    [".husky/pre-commit", DELETED],
    ["run.sh", MODE_CHANGED],
  ] as const;
  const changes = list.map(([path, kind]) => create(FileChangeSchema, { path, kind }));
  expect(runsCodeNotes(changes)).toEqual([
    "runs on your machine, or decides what runs there: ä/.envrc (your shell runs it (direnv)), run.sh (its mode or its type is another)",
  ]);
  expect(runsCodeNotes(changes.slice(0, 1))).toEqual([]);
  const many = Array.from({ length: 12 }, (_, at) => create(FileChangeSchema, { path: `${at}/Makefile`, kind: ADDED }));
  // What is worst is named first.
  expect(runsCodeNotes([...many, create(FileChangeSchema, { path: "z/.envrc", kind: ADDED })])[0]).toMatch(
    /there: z\/\.envrc .* and 3 more$/,
  );
});
