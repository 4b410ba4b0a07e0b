import { execFile } from "node:child_process";
import { realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chooseBase } from "../../docker/base/choose-base.mjs";
import { npmInputs } from "../../docker/image/npm-inputs.mjs";
import { docker } from "./docker.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** What a command in the machine came to. */
export interface MachineOutcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** A machine with Node, npm and a Docker engine, and nothing else: no git, no clone, nobody's home. */
export interface CleanMachine extends AsyncDisposable {
  /** Runs a line of shell in an empty project, with more variables for it. */
  run(line: string, env?: Record<string, string>): Promise<MachineOutcome>;
  /** Runs a line of shell, which must succeed, and returns what it prints. */
  must(line: string, env?: Record<string, string>): Promise<string>;
}

/** Starts a machine on this one's engine and network, with files of this machine put into it, and what npm needs for the registry. */
export async function startCleanMachine(
  directory: string,
  { files, env }: { files: Record<string, string>; env: Record<string, string> },
): Promise<CleanMachine> {
  const { npmrc, ca } = await npmInputs();
  await writeFile(join(directory, "npmrc"), npmrc, { mode: 0o600 });
  await writeFile(join(directory, "ca.crt"), ca);
  const { stdout: client } = await promisify(execFile)("sh", ["-c", "command -v docker"]);
  const engine = (process.env["DOCKER_HOST"] ?? "unix:///var/run/docker.sock").replace(/^unix:\/\//, "");
  const mounts = {
    ...files,
    "/root/.npmrc": join(directory, "npmrc"),
    "/etc/ca.crt": join(directory, "ca.crt"),
    "/usr/bin/docker": await realpath(client.trim()),
    "/var/run/docker.sock": engine,
  };
  const variables = { ...(ca !== "" && { NODE_EXTRA_CA_CERTS: "/etc/ca.crt" }), ...env };
  const id = await docker(
    ...["run", "--detach", "--rm", "--init", "--network", "host", "--workdir", "/root/project"],
    ...Object.entries(mounts).flatMap(([path, source]) => ["--volume", `${source}:${path}:ro`]),
    ...Object.entries(variables).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
    ...[await chooseBase(ROOT), "sleep", "infinity"],
  );
  const run: CleanMachine["run"] = async (line, more = {}) => {
    const given = Object.entries(more).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
    const command = ["exec", ...given, id, "sh", "-c", line];
    const running = promisify(execFile)("docker", command, { maxBuffer: 64 * 1024 * 1024 });
    return await running.then(
      (outcome) => ({ code: 0, ...outcome }),
      (error: MachineOutcome) => error,
    );
  };
  return {
    run,
    async must(line, more) {
      const { code, stdout, stderr } = await run(line, more);
      if (code !== 0) throw new Error(`${line} ended with ${code}:\n${stdout}\n${stderr}`);
      return stdout;
    },
    [Symbol.asyncDispose]: async () => void (await docker("rm", "--force", id)),
  };
}
