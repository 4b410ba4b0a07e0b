import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { AppError } from "../../proto/index.ts";
import { VERSION } from "../version.ts";

/** Root of the package, if this is of one. This file is in dist/host in the end, as far from it as here. */
const ROOT = resolve(fileURLToPath(new URL("../..", import.meta.url)));
/** Not the command in host/bin: with that Node writes a cache of code beside the program when it ends, after its locks. */
const COMMAND = "dist/host/claudecluster.mjs";
/** What a host runs, and what it builds the agent's image with. */
const PARTS = ["package.json", "dist/agent.cjs", "dist/host", "docker"];

/** As a copy is named once it is whole. */
const FINISHED = /-[0-9a-f]{12}$/;

/** Looked at once, since it may go: a clone is not installed, and neither is a bundle alone. */
const INSTALLED = isProgram(ROOT) && !existsSync(join(ROOT, "host/main.ts"));

/**
 * Returns the program that a host is started with: a copy of the installed package in the state directory. npx's cache is
 * cleared, and an update replaces files, while a host runs that has not loaded all of them, and the next one is to start, too.
 * Undefined: this program is not installed. Throws HOST_START_FAILED where neither the package nor a copy is there.
 */
export function keepProgram(stateDirectory: string): string | undefined {
  if (!INSTALLED) return undefined;
  const programs = programsDirectory(stateDirectory);
  if (!isProgram(ROOT)) return join(lastOf(programs), COMMAND);
  const files = PARTS.flatMap((part) => readPart(part));
  const kept = join(programs, `${VERSION}-${digest(files)}`);
  try {
    if (!isWhole(kept, files)) write(kept, files);
    return join(kept, COMMAND);
  } catch {
    // No room for a copy is no reason not to start.
    return join(ROOT, COMMAND);
  }
}

/** Removes the copies that earlier hosts were started with. Only a host that runs from a copy, and has its locks, may call it. */
export function removeOtherPrograms(stateDirectory: string): void {
  try {
    const programs = realpathSync(programsDirectory(stateDirectory));
    const all = readdirSync(programs).map((name) => join(programs, name));
    if (!all.includes(ROOT)) return;
    for (const other of all.filter((path) => path !== ROOT)) rmSync(other, { recursive: true, force: true });
  } catch {
    // There are none, or what stays is removed by the next one.
  }
}

function programsDirectory(stateDirectory: string): string {
  return join(stateDirectory, "program");
}

function isProgram(root: string): boolean {
  return existsSync(join(root, COMMAND));
}

/** The newest copy, whatever its version: hosts and fronts of several understand each other, or say that they do not. */
function lastOf(programs: string): string {
  const names = existsSync(programs) ? readdirSync(programs).filter((name) => FINISHED.test(name)) : [];
  const all = names.map((name) => join(programs, name));
  const [newest] = all.filter(isProgram).sort((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs);
  if (newest !== undefined) return newest;
  throw new AppError("HOST_START_FAILED", `The files of this program are gone: ${ROOT}`, {
    help: "Install it again, or start it anew by npx; in Claude Code: /mcp, and reconnect.",
    metadata: { path: ROOT },
  });
}

interface PackageFile {
  path: string;
  content: Buffer;
}

/** Files may be there without what was in them, after a loss of power. */
function isWhole(directory: string, files: readonly PackageFile[]): boolean {
  const sizeOf = (path: string) => statSync(join(directory, path), { throwIfNoEntry: false })?.size;
  return files.every(({ path, content }) => sizeOf(path) === content.length);
}

function readPart(part: string): PackageFile[] {
  if (!statSync(join(ROOT, part)).isDirectory()) return [{ path: part, content: readFileSync(join(ROOT, part)) }];
  return readdirSync(join(ROOT, part))
    .sort()
    .flatMap((name) => readPart(join(part, name)));
}

/** Two packages of one version may differ: those that were packed from a clone. */
function digest(files: readonly PackageFile[]): string {
  const hash = createHash("sha256");
  for (const { path, content } of files) hash.update(`${path}\0${content.length}\0`).update(content);
  return hash.digest("hex").slice(0, 12);
}

function write(directory: string, files: readonly PackageFile[]): void {
  const unfinished = `${directory}.${process.pid}`;
  try {
    for (const { path, content } of files) {
      mkdirSync(dirname(join(unfinished, path)), { recursive: true, mode: 0o700 });
      writeFileSync(join(unfinished, path), content, { mode: 0o600 });
    }
    rmSync(directory, { recursive: true, force: true });
    renameSync(unfinished, directory);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  }
}
