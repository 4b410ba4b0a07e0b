import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const execFileAsync = promisify(execFile);

/** Returns what of a host is still there: containers with its label, processes of its environment, sockets. */
export async function leftovers(host: {
  engineAddress: string | undefined;
  hostId: string;
  stateDirectory: string;
  runtimeDirectory: string;
}): Promise<string[]> {
  const engine = host.engineAddress === undefined ? [] : ["-H", host.engineAddress];
  const { stdout } = await execFileAsync("docker", [
    ...engine,
    ...["ps", "--all", "--format", "{{.ID}} {{.Names}}", "--filter", `label=dev.claudecluster.host=${host.hostId}`],
  ]);
  const containers = stdout.split("\n").filter((line) => line !== "");
  const sockets = (await readdir(host.runtimeDirectory)).filter((name) => name.endsWith(".sock"));
  return [
    ...containers.map((line) => `container ${line}`),
    ...(await processesOf(host.stateDirectory)).map((line) => `process ${line}`),
    ...sockets.map((name) => `socket ${name}`),
  ];
}

/** Every process with that state directory in its environment. */
async function processesOf(stateDirectory: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const read = (file: string) => readFile(join("/proc", pid, file), "latin1").catch(() => "");
    if (!(await read("environ")).includes(`CLAUDECLUSTER_STATE_DIR=${stateDirectory}\0`)) continue;
    found.push(`${pid} ${(await read("cmdline")).replaceAll("\0", " ").trim()}`);
  }
  return found;
}
