import { connect } from "node:net";
import type { CreateFakeAgent } from "../../host/runtime/fake/fake-agent.ts";

/** Makes fake containers whose agents are in other processes, each of which listens on a socket: by turns in each of them. */
export function remoteAgents(socketPaths: readonly string[]): CreateFakeAgent {
  let count = 0;
  return (_shape, id) => {
    const socketPath = socketPaths[count++ % socketPaths.length]!;
    const { promise: exited, resolve } = Promise.withResolvers<{ exitCode: number }>();
    return {
      exited,
      kill: () => resolve({ exitCode: 137 }),
      serve(stream) {
        const socket = connect(socketPath);
        socket.write(`${id}\n`);
        // Less than what `pipeline` keeps for each: it would count as the host's.
        stream.pipe(socket).pipe(stream);
        for (const [from, to] of [
          [stream, socket],
          [socket, stream],
        ] as const) {
          from.on("error", () => {});
          from.once("close", () => to.destroy());
        }
      },
    };
  };
}
