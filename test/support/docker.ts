import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execFileAsync = promisify(execFile);

/** Runs the docker client and returns what it printed. */
export async function docker(...args: string[]): Promise<string> {
  const { stdout } = await execFileAsync("docker", args, { maxBuffer: 256 * 1024 * 1024, encoding: "latin1" });
  return stdout.trim();
}

/** Ids of the containers of a session, running or not. */
export async function containersOf(sessionId: string): Promise<string[]> {
  const ids = await docker(
    "container",
    "ls",
    "--all",
    "--quiet",
    "--no-trunc",
    "--filter",
    `label=dev.claudecluster.session=${sessionId}`,
  );
  return ids.split("\n").filter((id) => id !== "");
}
