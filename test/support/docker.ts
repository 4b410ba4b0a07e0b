import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { readHostId } from "../../host/host-id.ts";
import type { TestDirectories } from "./host-directories.ts";

const execFileAsync = promisify(execFile);

/** Runs the docker client and returns what it printed. */
export async function docker(...args: string[]): Promise<string> {
  const { stdout } = await execFileAsync("docker", args, { maxBuffer: 256 * 1024 * 1024, encoding: "latin1" });
  return stdout.trim();
}

/** Ids of the containers of the host of these directories, running or not. */
export async function containersOf({ directories }: TestDirectories): Promise<string[]> {
  const ids = await docker(
    "container",
    "ls",
    "--all",
    "--quiet",
    "--no-trunc",
    "--filter",
    `label=dev.claudecluster.host=${readHostId(directories.stateDirectory)}`,
  );
  return ids.split("\n").filter((id) => id !== "");
}

/** The address of this machine that containers on the engine's bridges reach: the first of the default bridge. */
export async function dockerGateway(): Promise<string> {
  const subnet = await docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}");
  return subnet.replace(/\.0\/\d+$/, ".1");
}
