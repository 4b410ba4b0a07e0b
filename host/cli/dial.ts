import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream";
import { AppError, isFinal } from "../../proto/index.ts";
import { listenError } from "../address.ts";
import { makeProblem } from "../file-problem.ts";
import type { Sessions } from "../session/sessions.ts";
import { notRunning } from "../session/states.ts";
import { type CommandIo, EXIT } from "./command-io.ts";

/**
 * Offers a private socket to a session's agent, for any gRPC tool: each connection to it is one to the agent. Prints its path.
 * Runs until a signal comes or the session is over, and removes the socket. Throws NOT_FOUND, SESSION_NOT_RUNNING,
 * SOCKET_DIR_UNUSABLE.
 */
export async function dialCommand(sessions: Sessions, sessionId: string, io: CommandIo): Promise<number> {
  const { signal, stdout, stderr } = io;
  const session = await sessions.get(sessionId);
  if (session.containerId === "" || isFinal(session.state)) throw notRunning(sessionId);
  const directory = await makeDirectory(io.env["XDG_RUNTIME_DIR"] || tmpdir());
  const path = join(directory, "agent.sock");
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    const toAgent = (bytes: AsyncIterable<Uint8Array>) => sessions.dial(sessionId, unclosed(bytes), { signal });
    pipeline(socket, toAgent, socket, (error) => {
      // What goes wrong with the tool's end is the tool's to tell.
      if (error instanceof AppError) stderr.write(`${error.message}\n`);
      socket.destroy();
    });
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(listenError(path, error))).listen(path, resolve);
    });
    stdout.write(`${path}\n`);
    stderr.write(usage(path));
    for await (const _events of sessions.watch(sessionId, { afterSequence: session.lastSequence, signal }));
    return EXIT.done;
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true, force: true });
  }
}

/** The same bytes for a reader who cannot close their source: that would close the socket before it is known why. */
function unclosed(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const iterator = bytes[Symbol.asyncIterator]();
  return { [Symbol.asyncIterator]: () => ({ next: () => iterator.next() }) };
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

function usage(path: string): string {
  return [
    "Talk to the agent while this runs, for example:",
    `  grpcurl -plaintext -unix ${path} list`,
    `  buf curl --protocol grpc --http2-prior-knowledge --unix-socket ${path} --list-methods http://agent`,
    "",
  ].join("\n");
}
