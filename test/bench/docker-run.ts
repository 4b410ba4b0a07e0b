import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { containerConfig } from "../../host/runtime/docker/container-config.ts";

const execFileAsync = promisify(execFile);
/** The client takes a file's name where the engine takes its content. */
const SECCOMP = fileURLToPath(new URL("../../docker/seccomp.json", import.meta.url));
const GIB = 1024 ** 3;

/** `docker run --rm` of the agent's image, with the host configuration that a session's container has, running `true`. */
function sealedRunArguments(image: string): string[] {
  const { Env = [], HostConfig } = containerConfig({
    key: "bench",
    shape: { image, memoryBytes: 2 * GIB, cpuCount: 2, workspaceSizeBytes: GIB },
    sessionUid: 20999,
    owner: { hostId: "bench", version: "bench" },
    imageVolumes: [],
    limitsCpu: true,
    filtersSystemCalls: true,
  });
  const host = HostConfig!;
  const each = (flag: string, values: string[] = []) => values.flatMap((value) => [flag, value]);
  return [
    ...["run", "--rm", "--entrypoint", "true", "--user", "0:0", "--init", "--read-only"],
    ...["--network", host.NetworkMode!, "--ipc", host.IpcMode!],
    ...each("--cap-drop", host.CapDrop as string[]),
    ...each("--cap-add", host.CapAdd as string[]),
    ...each(
      "--security-opt",
      (host.SecurityOpt as string[]).map((option) => option.replace(/^seccomp=.*/s, `seccomp=${SECCOMP}`)),
    ),
    ...[
      "--pids-limit",
      String(host.PidsLimit),
      "--memory",
      String(host.Memory),
      "--memory-swap",
      String(host.MemorySwap),
    ],
    ...["--cpus", String(host.NanoCpus! / 1e9), "--shm-size", String(host.ShmSize)],
    ...each(
      "--ulimit",
      host.Ulimits!.map(({ Name, Soft, Hard }) => `${Name}=${Soft}:${Hard}`),
    ),
    ...["--log-driver", host.LogConfig!.Type],
    ...each(
      "--log-opt",
      Object.entries(host.LogConfig!.Config as Record<string, string>).map(([name, value]) => `${name}=${value}`),
    ),
    ...each(
      "--tmpfs",
      Object.entries(host.Tmpfs as Record<string, string>).map(([path, options]) => `${path}:${options}`),
    ),
    ...each("--env", Env),
    image,
  ];
}

/** Starts and removes a container with a session's configuration; resolves with the time that it took, in ms. */
export function sealedRun(image: string): Promise<number> {
  return timed(sealedRunArguments(image));
}

/** The same with the engine's defaults: a network, no limits, root. */
export function plainRun(image: string): Promise<number> {
  return timed(["run", "--rm", "--entrypoint", "true", image]);
}

export interface PlainSession {
  image: string;
  task: string;
  /** Both where a container reaches them. */
  repository: string;
  modelUrl: string;
  key: string;
}

/**
 * What is done without us: a clone, `claude -p` and a diff in a container that has the network and the key. Resolves with the time
 * until Claude's result and until the end, in ms.
 */
export async function plainSession(options: PlainSession): Promise<{ toResult: number; whole: number }> {
  const { image, task, repository, modelUrl, key } = options;
  const script = [
    'git clone --quiet "$REPOSITORY" /tmp/repo',
    "cd /tmp/repo",
    'claude -p --permission-mode bypassPermissions "$TASK"',
    "git add --all",
    "git diff --cached --binary",
  ].join(" && ");
  const environment = {
    REPOSITORY: repository,
    TASK: task,
    ANTHROPIC_BASE_URL: modelUrl,
    ANTHROPIC_API_KEY: key,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  };
  const names = Object.keys(environment).flatMap((name) => ["--env", name]);
  const args = [
    "run",
    "--rm",
    "--user",
    "20999:20999",
    "--env",
    "HOME=/tmp",
    ...names,
    "--entrypoint",
    "sh",
    image,
    "-c",
    script,
  ];
  let toResult = NaN;
  // Claude writes its result, and before that nothing.
  const whole = await timed(args, { environment, onOutput: (ms) => (toResult = ms) });
  return { toResult, whole };
}

interface TimedOptions {
  environment?: Record<string, string>;
  /** Takes the time of the first output. */
  onOutput?: (ms: number) => void;
}

async function timed(args: string[], { environment, onOutput }: TimedOptions = {}): Promise<number> {
  const startMs = performance.now();
  const running = execFileAsync("docker", args, { env: { ...process.env, ...environment } });
  running.child.stdout!.once("data", () => onOutput?.(performance.now() - startMs));
  await running;
  return performance.now() - startMs;
}
