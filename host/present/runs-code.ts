import { type FileChange, FileChange_Kind, type RawPath } from "../../proto/index.ts";
import { nameSome } from "../name-some.ts";
import { pathText } from "./path-text.ts";

/** A file of a result, as far as it is known. */
export interface ResultFile {
  path: RawPath;
  /** git's modes before and after; "000000" for none. Undefined: not known. */
  oldMode?: string | undefined;
  newMode?: string | undefined;
  /** What a package.json held before and holds now. Undefined: not known. */
  texts?: { before: string; after: string } | undefined;
}

/** A file that makes something run, or decides what runs, on the machine of whoever takes the result. */
export interface RunsCode {
  path: RawPath;
  why: string;
}

const ABSENT = "000000";
const SYMLINK = "120000";
const EXECUTABLE = "100755";

/** What is told of which files: the first that matches, the worst first. Names are matched however they are written, as some file systems do. */
const TABLE: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/(^|\/)(\.gitattributes|\.lfsconfig)$/i, "filters and line ends that your git uses"],
  [/(^|\/)\.gitmodules$/i, "repositories that your git may fetch"],
  [/(^|\/)(\.?git-?hooks?|\.husky|\.hooks?)\/|(^|\/)\.huskyrc/i, "a git hook"],
  // Wherever core.hooksPath leads.
  [
    /(^|\/)((pre|post)-(applypatch|commit|merge|merge-commit|rebase|checkout|push|rewrite|index-change|auto-gc|receive|update)|(prepare-)?commit-msg|applypatch-msg|reference-transaction|sendemail-validate|fsmonitor-watchman)(\.\w+)?$/i,
    "a git hook",
  ],
  [
    /(^|\/)(\.?lefthook(-local)?\.(ya?ml|toml|json)|\.pre-commit-(config|hooks)\.yaml|\.overcommit\.yml|\.?(lint-?staged|simple-git-hooks|commitlint)(rc)?(\.config)?(\.[cm]?[jt]s|\.json|\.ya?ml)?)$/i,
    "git hooks",
  ],
  [/(^|\/)\.?git-?config([-._][^/]*)?$/i, "settings that your git may include"],
  [/(^|\/)\.envrc$/i, "your shell runs it (direnv)"],
  [/(^|\/)\.autoenv(\.zsh|\.leave)?$/i, "your shell runs it (autoenv)"],
  [
    /(^|\/)(\.?mise(\.[\w-]+)?\.toml|\.?mise\/|\.tool-versions|\.nvmrc|\.node-version|\.python-version|\.ruby-version|\.java-version|\.sdkmanrc|rust-toolchain(\.toml)?|global\.json|devbox\.json|flake\.(nix|lock)|(shell|default)\.nix)$/i,
    "tools that your shell chooses",
  ],
  [/(^|\/)\.claude(-plugin)?\//i, "settings, hooks or commands of Claude Code"],
  [/(^|\/)\.mcp\.json$/i, "MCP servers that Claude Code starts"],
  [/(^|\/)(CLAUDE(\.local)?|AGENTS|GEMINI)\.md$/i, "instructions that coding agents follow"],
  [
    /(^|\/)(\.(cursor|windsurf|clinerules|roo|codex|gemini|continue|aider[^/]*)(\/|$)|\.(cursor|windsurf)rules$|\.github\/(copilot-instructions\.md$|(instructions|prompts|chatmodes|agents)\/))/i,
    "instructions of an editor's agent",
  ],
  [/(^|\/)\.(vscode|idea|fleet|zed|nova|run|settings)\//i, "tasks or settings of an editor"],
  [
    /(\.code-workspace|\.sublime-project|\.(launch|iml)|(^|\/)(\.n?vimrc|\.nvim\.lua|\.exrc|\.lvimrc|\.dir-locals(-2)?\.el|\.projectile|\.editorconfig))$/i,
    "tasks or settings of an editor",
  ],
  [
    /(^|\/)(\.devcontainer(\/|\.json$)|devcontainer\.json$|\.gitpod\.(ya?ml|dockerfile)$)/i,
    "a container that an editor starts",
  ],
  [
    /(^|\/)([^/]*dockerfile[^/]*|containerfile|(docker-)?compose[^/]*\.ya?ml|vagrantfile|docker-bake\.(hcl|json))$/i,
    "a container that you may start",
  ],
  [/^\.(github|gitea|forgejo)\/(workflows|actions)\//i, "runs in CI"],
  [/(^|\/)\.(circleci|buildkite|gitlab|woodpecker|teamcity|azure-pipelines)\//i, "runs in CI"],
  [
    /(^|\/)(\.gitlab-ci[^/]*\.ya?ml|Jenkinsfile[^/]*|azure-pipelines[^/]*\.ya?ml|\.travis\.ya?ml|\.drone\.(ya?ml|star|jsonnet)|\.cirrus\.(ya?ml|star)|bitbucket-pipelines\.ya?ml|\.?appveyor\.ya?ml|\.woodpecker\.ya?ml|cloudbuild\.ya?ml|buildspec\.ya?ml|action\.ya?ml|renovate\.json5?|dependabot\.ya?ml)$/i,
    "runs in CI",
  ],
  [
    /(^|\/)(\.npmrc|\.yarnrc(\.yml)?|\.?pnpmfile\.[cm]?js|pnpm-workspace\.yaml|bunfig\.toml|\.cargo\/config(\.toml)?|pip\.conf|uv\.toml|\.condarc|nuget\.config|\.bundle\/config|\.mvn\/.*|(gradle|settings|init)\.(properties|gradle(\.kts)?)|deno\.jsonc?|\.bazelrc|\.buckconfig)$/i,
    "settings of a package manager or build tool",
  ],
  [
    /(^|\/)(\.yarn\/(releases|plugins|sdks|patches)\/.*|\.pnp\.[cm]?js|\.pnp\.loader\.mjs|gradle\/wrapper\/.*|(gradlew|mvnw)(\.(bat|cmd))?|\.mvn\/wrapper\/.*|patches\/[^/]+\.patch)$/i,
    "a tool of the build, or a part of one",
  ],
  [
    /(^|\/)(package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?|deno\.lock|Cargo\.(toml|lock)|go\.(mod|sum|work)|requirements[^/]*\.(txt|in)|constraints[^/]*\.txt|pyproject\.toml|(poetry|uv|pdm|pixi)\.lock|Pipfile(\.lock)?|environment\.ya?ml|Gemfile(\.lock)?|gems\.(rb|locked)|[^/]*\.gemspec|composer\.(json|lock)|mix\.(exs|lock)|Package\.(swift|resolved)|Podfile(\.lock)?|pubspec\.(yaml|lock)|pom\.xml|[^/]*\.(cs|fs|vb)proj|packages\.lock\.json|Directory\.(Build|Packages)\.(props|targets)|paket\.(dependencies|lock)|[^/]*\.cabal|stack\.yaml|build\.sbt|project\/[^/]+\.(sbt|scala)|(WORKSPACE|MODULE)(\.bazel)?|conanfile\.(py|txt)|vcpkg\.json|jsr\.json|bower\.json|lerna\.json)$/i,
    "code of others that is installed or built",
  ],
  [
    /(^|\/)((GNU)?makefile(\.[a-z]*(am|in|inc|mk|win|vc|common|local))?|[^/]*\.mk|justfile|\.justfile|taskfile\.ya?ml|rakefile|[^/]*\.rake|(pav)?ement\.py|tasks\.py|noxfile\.py|fabfile\.py|dodo\.py|SConstruct|SConscript|wscript|meson\.build|CMakeLists\.txt|[^/]*\.cmake|configure(\.ac)?|build\.(xml|zig|sh|ps1|cmd|bat|cake)|[^/]*\.gradle(\.kts)?|BUILD(\.bazel)?|[^/]*\.bzl|Earthfile|Tiltfile|skaffold\.ya?ml|Procfile[^/]*|magefile\.go|turbo\.json|nx\.json|project\.json|wercker\.ya?ml|earthly\.ya?ml)$/i,
    "a rule of the build",
  ],
  [
    /(^|\/)(binding\.gyp|setup\.(py|cfg)|build\.rs|extconf\.rb|conftest\.py|(site|user)customize\.py|[^/]*\.pth|tox\.ini|pytest\.ini|\.rspec|\.mocharc\.[a-z]+|\.nycrc[^/]*|nodemon\.json|ava\.config\.[cm]?js|\.pryrc|\.irbrc|\.pdbrc|\.gdbinit|\.lldbinit|\.Rprofile|\.ghci|\.ocamlinit|\.perltidyrc|\.rubocop\.yml|\.pylintrc|\.?mypy\.ini)$/i,
    "runs when the project is installed, built, tested or looked into",
  ],
  [
    /(^|\/)([^/]+\.(config|conf|setup|preset)\.([cm]?[jt]sx?|json)|\.?(eslint|babel|prettier|stylelint|swc|postcss|npmpackagejsonlint|remark|syncpack|jsdoc)rc(\.[a-z]+)?|(t|j)sconfig[^/]*\.json|gulpfile\.[^/]+|gruntfile\.[^/]+|karma\.conf\.[^/]+|jakefile[^/]*|angular\.json|\.storybook\/.*|biome\.jsonc?)$/i,
    "settings of a tool that runs code, plugins among them",
  ],
];
const PACKAGE = /(^|\/)package\.json$/i;
/** Parts of a package.json that make something run, and what they are called. */
const PACKAGE_PARTS: readonly (readonly [name: string, keys: RegExp])[] = [
  ["scripts", /^(scripts|bin|gypfile|husky|lint-staged|simple-git-hooks|pre-commit|gitHooks)$/],
  ["dependencies", /dependencies|^(overrides|resolutions|packageManager|devEngines|workspaces|pnpm|imports)$/i],
  [
    "settings of tools",
    /^(eslintConfig|prettier|babel|jest|mocha|ava|nyc|stylelint|browserslist|config|tsup|nodemonConfig)$/,
  ],
];

/**
 * Returns the files of a result that would run something, or change what is run, on the user's machine. What is gone runs
 * nothing, but for attributes, without which git does something else.
 */
export function findRunsCode(files: readonly ResultFile[]): RunsCode[] {
  return files.flatMap((file) => {
    const why = reasonsFor(file);
    return why.length === 0 ? [] : [{ path: file.path, why: why.join("; ") }];
  });
}

/**
 * Returns what of a session's changes would run something, as a note on its patch, by the list of changes alone: of scripts
 * and modes that says only that they may be others. None where there is nothing.
 */
export function runsCodeNotes(changes: readonly FileChange[]): string[] {
  const files = changes.map(({ path, kind }) => {
    const gone = kind === FileChange_Kind.DELETED;
    return { path: pathText(path).replace(/^"(.*)"$/s, "$1"), mode: kind === FileChange_Kind.MODE_CHANGED, gone };
  });
  const named = files.flatMap(({ path, mode, gone }) => {
    const [known] = findRunsCode([{ path, newMode: gone ? ABSENT : undefined }]);
    const why = known?.why ?? (mode ? "its mode or its type is another" : undefined);
    const rank = TABLE.findIndex(([pattern]) => pattern.test(path));
    return why === undefined ? [] : [{ text: `${path} (${why})`, rank: rank === -1 ? TABLE.length : rank }];
  });
  if (named.length === 0) return [];
  // As many are named as fit.
  const texts = named.toSorted((a, b) => a.rank - b.rank).map(({ text }) => text);
  return [`runs on your machine, or decides what runs there: ${nameSome(texts)}`];
}

function reasonsFor({ path, oldMode, newMode, texts }: ResultFile): string[] {
  const gone = newMode === ABSENT;
  const attributes = /(^|\/)\.gitattributes$/i.test(path);
  if (gone && !attributes) return [];
  const reasons: string[] = [];
  const known = TABLE.find(([pattern]) => pattern.test(path));
  if (known !== undefined) reasons.push(known[1]);
  if (PACKAGE.test(path)) {
    if (texts === undefined) reasons.push("its scripts and dependencies may be others");
    else {
      const [before, after] = [readPackage(texts.before), readPackage(texts.after)];
      const others = PACKAGE_PARTS.filter(([, keys]) => partOf(before, keys) !== partOf(after, keys));
      if (others.length > 0) reasons.push(`its ${others.map(([name]) => name).join(", ")} are others`);
    }
  }
  if (newMode === EXECUTABLE && oldMode !== EXECUTABLE) reasons.push("can be executed");
  if (newMode === SYMLINK) reasons.push("a symbolic link");
  return reasons;
}

/** What a package.json holds. What is no JSON counts as all of it. */
function readPackage(text: string): [key: string, value: unknown][] {
  try {
    return Object.entries((JSON.parse(text === "" ? "{}" : text) ?? {}) as object);
  } catch {
    return [["scripts", text]];
  }
}

/** Some parts of a package.json, in one form. */
function partOf(all: readonly (readonly [key: string, value: unknown])[], keys: RegExp): string {
  const sorted = (entries: readonly (readonly [string, unknown])[]) => entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
  const inOrder = (value: unknown) => (isObject(value) ? sorted(Object.entries(value)) : value);
  return JSON.stringify(sorted(all.filter(([key]) => keys.test(key))).map(([key, value]) => [key, inOrder(value)]));
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
