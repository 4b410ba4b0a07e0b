import { execFile } from "node:child_process";
import { promisify } from "node:util";
import semver from "semver";
import type { CommandIo } from "./command-io.ts";
import type { Finding } from "./finding.ts";

/** What a program takes to tell its version (ms), on a machine that is busy too. */
const VERSION_MS = 10_000;

/**
 * Looks at the Claude Code that is on the caller's path, and says so where it is older than the one in the image, which is
 * what this program was tested with. Nothing is found where there is none: it is not needed.
 */
export async function checkClaude(inImage: string | undefined, { env, signal }: CommandIo): Promise<Finding[]> {
  const options = { env, signal, timeout: VERSION_MS };
  const asked = await promisify(execFile)("claude", ["--version"], options).catch(() => undefined);
  const version = semver.coerce(asked?.stdout)?.version;
  if (version === undefined) return [];
  const old = inImage !== undefined && semver.valid(inImage) !== null && semver.lt(version, inImage);
  return [
    {
      subject: "claude",
      ok: true,
      message: `Claude Code ${version} on your PATH${old ? `, older than ${inImage} in the image` : ""}`,
      ...(old && { help: "Update it: claude update" }),
    },
  ];
}
