import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { AgentSource, RunningAgent } from "./agent-source.ts";

const execFileAsync = promisify(execFile);
const START_AGENT = fileURLToPath(new URL("../../agent/examples/start-agent.sh", import.meta.url));
/** A bridge's first line, once there is an agent behind it. */
const MAGIC = "AGENT-DIAL/1\n";

/** What was asked for cannot be an address. */
export class AddressError extends Error {
  override readonly name = "AddressError";
}

/**
 * Returns where the agents of an address come from: unix:/path and host:port are the one agent that
 * listens there, docker:IMAGE is a new sealed container for each. Throws AddressError.
 */
export function sourceOf(address: string, { token }: { token?: string | undefined } = {}): AgentSource {
  if (!address.startsWith("docker:")) return { fresh: false, start: async () => listening(address, token) };
  const image = address.slice("docker:".length);
  if (image === "") throw new AddressError("docker: is followed by the name of an image.");
  return { fresh: true, start: () => startContainer(image) };
}

/**
 * Returns a source that runs a shell command for each agent. The command prints the agent's address
 * (unix:/path or host:port) as its first line and is ended by TERM.
 */
export function sourceOfCommand(command: string, { token }: { token?: string | undefined } = {}): AgentSource {
  return {
    fresh: true,
    async start() {
      // A group of its own, so that what the shell started ends with it.
      const child = spawn("/bin/sh", ["-c", command], { stdio: ["ignore", "pipe", "inherit"], detached: true });
      const closed = once(child, "close");
      const line = once(createInterface({ input: child.stdout }), "line") as Promise<[string]>;
      const address = await Promise.race([line.then(([text]) => text.trim()), closed.then(() => "")]);
      const end = async () => {
        endGroup(child);
        await closed;
      };
      if (address !== "") return { ...listening(address, token), [Symbol.asyncDispose]: end };
      throw new Error(`The command printed no address and ended with ${child.exitCode ?? child.signalCode}.`);
    },
  };
}

function endGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  process.kill(-pid, "SIGTERM");
}

function listening(address: string, token: string | undefined): RunningAgent {
  const tcp = /^(.+):(\d+)$/.exec(address);
  if (!address.startsWith("unix:/") && tcp === null) {
    throw new AddressError(`"${address}" is neither unix:/path nor host:port nor docker:IMAGE.`);
  }
  const options = address.startsWith("unix:")
    ? { path: address.slice("unix:".length) }
    : { host: tcp![1]!.replace(/^\[|\]$/g, ""), port: Number(tcp![2]) };
  return {
    token,
    async dial() {
      const socket = connect(options);
      await once(socket, "connect");
      return socket;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function startContainer(image: string): Promise<RunningAgent> {
  const env = { ...process.env, CLAUDECLUSTER_IMAGE: image };
  const { stdout } = await execFileAsync(START_AGENT, ["--label", "dev.claudecluster.conformance=1"], { env });
  const container = stdout.trim();
  return {
    token: undefined,
    dial: () => dialContainer(container),
    async [Symbol.asyncDispose]() {
      await execFileAsync("docker", ["rm", "--force", "--volumes", container]);
    },
  };
}

/** `docker exec` is a bridge to the agent's socket; its first line says that the agent is there. */
async function dialContainer(container: string): Promise<Duplex> {
  const bridge = spawn("docker", ["exec", "--interactive", container, "dial-stdio"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const { stdin, stdout } = bridge;
  let head = Buffer.alloc(0);
  while (head.length < MAGIC.length) {
    const chunk = stdout.read() as Buffer | null;
    if (chunk !== null) head = Buffer.concat([head, chunk]);
    else if (stdout.readableEnded || stdout.destroyed) throw new Error("The bridge ended before it reached the agent.");
    else await Promise.race([once(stdout, "readable"), once(stdout, "end")]);
  }
  if (!head.toString("latin1").startsWith(MAGIC))
    throw new Error(`The bridge said ${JSON.stringify(head.toString())}.`);
  if (head.length > MAGIC.length) stdout.unshift(head.subarray(MAGIC.length));
  const stream = Duplex.from({ readable: stdout, writable: stdin });
  stream.once("close", () => bridge.kill());
  return stream;
}
