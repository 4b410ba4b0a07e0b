import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream";
import { AppError, type Session } from "../../proto/index.ts";
import { listenError } from "../address.ts";
import { makeProblem } from "../file-problem.ts";
import type { Container, Runtime } from "../runtime/runtime.ts";
import { type CommandIo, EXIT } from "./command-io.ts";

/**
 * Offers a private socket whose every connection is one connection to a session's agent, so that
 * any gRPC tool can talk to it. Runs until a signal comes or the container is gone.
 */
export async function dialCommand(runtime: Runtime, session: Session, io: CommandIo): Promise<number> {
  const container = await findContainer(runtime, session, io.signal);
  const directory = await makeDirectory(io.env["XDG_RUNTIME_DIR"] || tmpdir());
  const path = join(directory, "agent.sock");
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    container.dial({ signal: io.signal }).then(
      (agent) => {
        pipeline(socket, agent, () => {});
        pipeline(agent, socket, () => socket.destroy());
      },
      (error: unknown) => {
        io.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
        socket.destroy();
      },
    );
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(listenError(path, error))).listen(path, resolve);
    });
    io.stdout.write(`${path}\n`);
    io.stderr.write(usage(path));
    await Promise.race([
      container.exited,
      new Promise<void>((resolve) => {
        if (io.signal.aborted) resolve();
        else io.signal.addEventListener("abort", () => resolve(), { once: true });
      }),
    ]);
    return EXIT.done;
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true, force: true });
  }
}

/** A directory of this user alone. */
async function makeDirectory(parent: string): Promise<string> {
  try {
    return await mkdtemp(join(parent, "claudecluster-"));
  } catch (cause) {
    throw new AppError(
      "SOCKET_DIR_UNUSABLE",
      `No socket can be made in ${parent}: ${makeProblem(parent, cause).why}.`,
      {
        help: "Set XDG_RUNTIME_DIR to a directory that you may write to, or unset it.",
        metadata: { path: parent },
        cause,
      },
    );
  }
}

async function findContainer(runtime: Runtime, { id, containerId }: Session, signal: AbortSignal): Promise<Container> {
  const ref = { version: 1 as const, runtime: runtime.name, id: containerId };
  const container = containerId === "" ? undefined : await runtime.adopt(ref, { signal });
  if (container !== undefined) return container;
  throw new AppError("SESSION_NOT_RUNNING", `Session ${id} has no container now.`, {
    help: "claudecluster list --live shows those that run.",
    metadata: { session_id: id },
  });
}

function usage(path: string): string {
  return [
    "Talk to the agent while this runs, for example:",
    `  grpcurl -plaintext -unix ${path} list`,
    `  buf curl --protocol grpc --http2-prior-knowledge --unix-socket ${path} --list-methods http://agent`,
    "",
  ].join("\n");
}
