import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { promisify } from "node:util";
import { runningProcesses } from "../support/processes.ts";

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
    ...runningProcesses()
      .filter(({ environment }) => environment.includes(`CLAUDECLUSTER_STATE_DIR=${host.stateDirectory}`))
      .map(({ pid, command }) => `process ${pid} ${command}`),
    ...sockets.map((name) => `socket ${name}`),
  ];
}
