import { type ChildProcessByStdio, spawn } from "node:child_process";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { SNAPSHOT_REF } from "../../proto/index.ts";

/** Commits that a session is served. */
export interface ServedCommits {
  /** Start of the session. Its history is served too, down to the `shallow` commits. */
  startCommitId: string;
  /** Commits whose parents the session does not get. */
  shallow: readonly string[];
  /** Directory of the objects. */
  objectDirectory: string;
}

/**
 * Makes a git directory with one ref and no objects of its own, for git to serve a session from. What the session must not
 * have is behind a shallow commit. A directory that is there is replaced.
 */
export async function makeServedDirectory(directory: string, served: ServedCommits): Promise<void> {
  const { startCommitId, shallow, objectDirectory } = served;
  const fresh = `${directory}.new`;
  await rm(fresh, { recursive: true, force: true });
  for (const name of ["refs", "objects/info"]) await mkdir(join(fresh, name), { recursive: true, mode: 0o700 });
  const files: Record<string, string> = {
    ...bareFiles(startCommitId),
    "objects/info/alternates": `${objectDirectory}\n`,
    "packed-refs": `${startCommitId} ${SNAPSHOT_REF}\n`,
    ...(shallow.length > 0 && { shallow: shallow.map((id) => `${id}\n`).join("") }),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(fresh, name), content, { mode: 0o600 });
  await rm(directory, { recursive: true, force: true });
  await rename(fresh, directory);
}

/** Returns the files of a bare git directory without objects, for commits of the kind that an id is of. */
export function bareFiles(commitId: string): Record<string, string> {
  const sha256 = commitId.length === 64;
  const format = sha256 ? "[extensions]\n\tobjectformat = sha256\n" : "";
  return {
    HEAD: `ref: ${SNAPSHOT_REF}\n`,
    config: `[core]\n\trepositoryformatversion = ${sha256 ? 1 : 0}\n\tbare = true\n${format}`,
  };
}

/** Nothing of what a user or the machine has configured, and one thread more than one: a session is not to take the machine. */
const CONFIG = { "core.hooksPath": "/dev/null", "gc.auto": "0", "pack.threads": "2" };

/**
 * Starts git's upload-pack for one request of protocol 2 on a served directory, without a shell and in an environment of its
 * own. With `advertise` it only says what it can do. It leads a process group, by which the caller ends it.
 */
export function startUploadPack(
  directory: string,
  { advertise }: { advertise: boolean },
): ChildProcessByStdio<Writable, Readable, null> {
  const config = Object.entries(CONFIG);
  const env: Record<string, string> = {
    PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
    HOME: "/nonexistent",
    LC_ALL: "C",
    GIT_PROTOCOL: "version=2",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_NO_LAZY_FETCH: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_COUNT: String(config.length),
  };
  config.forEach(([key, value], index) => {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  });
  const args = ["upload-pack", "--strict", "--stateless-rpc", ...(advertise ? ["--advertise-refs"] : []), directory];
  return spawn("git", args, { cwd: "/", env, detached: true, stdio: ["pipe", "pipe", "ignore"] });
}
