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

/** What is told of which files: the first that matches. Names are matched however they are written, as some file systems do. */
const TABLE: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/(^|\/)\.gitattributes$/i, "filters and line ends that your git uses"],
  [/(^|\/)\.gitmodules$/i, "repositories that your git may fetch"],
  [/(^|\/)(\.githooks|\.husky|\.git-hooks|githooks)\//i, "a git hook"],
  [/(^|\/)(\.?lefthook(-local)?\.(ya?ml|toml|json)|\.pre-commit-config\.yaml|\.overcommit\.yml)$/i, "git hooks"],
  [/(^|\/)\.envrc$/i, "your shell runs it (direnv)"],
  [/(^|\/)(\.?mise(\.local)?\.toml|\.tool-versions|\.autoenv(\.zsh)?|\.nvmrc)$/i, "tools that your shell chooses"],
  [/(^|\/)\.claude\//i, "settings, hooks or commands of Claude Code"],
  [/(^|\/)\.mcp\.json$/i, "MCP servers that Claude Code starts"],
  [/(^|\/)(CLAUDE(\.local)?|AGENTS|GEMINI)\.md$/i, "instructions that coding agents follow"],
  [
    /(^|\/)(\.cursor\/|\.cursorrules$|\.windsurfrules$|\.github\/copilot-instructions\.md$)/i,
    "instructions of an editor's agent",
  ],
  [/(^|\/)\.vscode\//i, "tasks or settings of an editor"],
  [/(^|\/)(\.idea|\.fleet|\.zed|\.nova)\//i, "tasks or settings of an editor"],
  [
    /(\.code-workspace|\.sublime-project|(^|\/)(\.vimrc|\.nvimrc|\.nvim\.lua|\.exrc|\.dir-locals\.el))$/i,
    "tasks or settings of an editor",
  ],
  [/(^|\/)(\.devcontainer(\/|\.json$)|devcontainer\.json$)/i, "a container that an editor starts"],
  [/^\.github\/(workflows|actions)\//i, "runs in CI"],
  [/(^|\/)(\.circleci|\.buildkite|\.gitea|\.forgejo|\.woodpecker|\.teamcity)\//i, "runs in CI"],
  [
    /(^|\/)(\.gitlab-ci\.ya?ml|Jenkinsfile|azure-pipelines\.ya?ml|\.travis\.ya?ml|\.drone\.ya?ml|\.cirrus\.ya?ml|bitbucket-pipelines\.ya?ml|\.?appveyor\.ya?ml|\.woodpecker\.ya?ml)$/i,
    "runs in CI",
  ],
  [
    /(^|\/)(\.npmrc|\.yarnrc(\.yml)?|\.pnpmfile\.c?js|bunfig\.toml|\.cargo\/config(\.toml)?|pip\.conf)$/i,
    "settings of a package manager",
  ],
  [
    /(^|\/)(binding\.gyp|setup\.py|build\.rs|extconf\.rb|conftest\.py|sitecustomize\.py|[^/]*\.pth)$/i,
    "runs when the project is installed, built or tested",
  ],
];
/** npm runs these by itself when the project is installed or published. */
const PACKAGE = /(^|\/)package\.json$/i;

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
    return why === undefined ? [] : [`${path} (${why})`];
  });
  if (named.length === 0) return [];
  return [`runs on your machine, or decides what runs there: ${nameSome(named)}`];
}

function reasonsFor({ path, oldMode, newMode, texts }: ResultFile): string[] {
  const gone = newMode === ABSENT;
  const attributes = /(^|\/)\.gitattributes$/i.test(path);
  if (gone && !attributes) return [];
  const reasons: string[] = [];
  const known = TABLE.find(([pattern]) => pattern.test(path));
  if (known !== undefined) reasons.push(known[1]);
  if (PACKAGE.test(path)) {
    if (texts === undefined) reasons.push("its scripts may be others");
    else if (scriptsOf(texts.before) !== scriptsOf(texts.after)) reasons.push("its scripts are others");
  }
  if (newMode === EXECUTABLE && oldMode !== EXECUTABLE) reasons.push("can be executed");
  if (newMode === SYMLINK) reasons.push("a symbolic link");
  return reasons;
}

/** The scripts of a package.json, in one form. What is no JSON counts as a whole. */
function scriptsOf(text: string): string {
  try {
    const { scripts = {} } = (JSON.parse(text === "" ? "{}" : text) ?? {}) as { scripts?: object };
    return JSON.stringify(Object.entries(scripts).sort(([a], [b]) => (a < b ? -1 : 1)));
  } catch {
    return text;
  }
}
