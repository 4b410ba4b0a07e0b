import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { ContractAgent } from "./runtime-harness.ts";

const run = promisify(execFile);

/** The agent image's file system and bridge, with agents in it that the contract can tell what to do. */
export interface ContractImages extends AsyncDisposable, Record<ContractAgent, string> {
  /** Runs, but has no bridge. */
  bridgeless: string;
}

/** Echoes on the socket, ends with the code that it reads from a pipe. */
const AGENT = `
serve=cat; [ -n "$CONTRACT_FLOOD" ] && serve='cat /dev/zero'
mkfifo -m 600 /run/agent/control
socat -t 60 -b 65536 UNIX-LISTEN:/run/agent/agent.sock,fork,mode=600,backlog=64 EXEC:"$serve" 2>/dev/null &
echo "agent: listening"
read -r code < /run/agent/control
echo "agent: exiting with $code" >&2
exit "$code"
`;

/** Runs the docker CLI: another way to the engine than the one under test. */
export async function docker(...args: string[]): Promise<string> {
  return (await run("docker", args, { maxBuffer: 16 * 2 ** 20 })).stdout.trim();
}

/** Builds the images on top of the agent image; disposing of them removes them. */
export async function buildContractImages(): Promise<ContractImages> {
  const base = process.env["CLAUDECLUSTER_TEST_IMAGE"] ?? "claudecluster/agent:latest";
  const tag = `claudecluster-contract-${process.pid}`;
  const build = async (name: string, ...lines: string[]): Promise<string> => {
    const building = run("docker", ["build", "--quiet", "--tag", `${tag}:${name}`, "-"], {
      env: { ...process.env, DOCKER_BUILDKIT: "0" },
    });
    building.child.stdin?.end([`FROM ${base}`, ...lines].join("\n"));
    await building;
    return `${tag}:${name}`;
  };
  const entrypoint = (...argv: string[]) => `ENTRYPOINT ${JSON.stringify(argv)}`;
  const buildAgent = (name: string, ...lines: string[]) =>
    build(name, ...lines, entrypoint("/bin/sh", "-c", AGENT), "VOLUME /declared");
  const agent = await buildAgent("agent");
  const floodingAgent = await buildAgent("flooding", "ENV CONTRACT_FLOOD=1");
  const bridgeless = await build("bridgeless", "ENV PATH=/bin", entrypoint("/bin/sleep", "infinity"));
  return {
    agent,
    floodingAgent,
    bridgeless,
    async [Symbol.asyncDispose]() {
      await docker("image", "rm", agent, floodingAgent, bridgeless);
    },
  };
}
