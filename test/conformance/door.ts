import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Duplex, pipeline } from "node:stream";

/** A local socket in front of an agent, so that any gRPC client reaches it and connections can be cut. */
export interface Door extends AsyncDisposable {
  /** As grpc-js and others take it: "unix:/path". */
  readonly target: string;
  /** Breaks every open connection, as a lost network does. */
  cut(): void;
}

/** Opens a door whose every connection is carried by one that `dial` opens. */
export async function openDoor(dial: () => Promise<Duplex>): Promise<Door> {
  const directory = await mkdtemp(join(tmpdir(), "conformance-"));
  const path = join(directory, "agent.sock");
  const open = new Set<Duplex>();
  const server = createServer((caller) => void carry(caller));

  async function carry(caller: Socket): Promise<void> {
    open.add(caller);
    caller.once("close", () => open.delete(caller)).on("error", () => {});
    try {
      const agent = await dial();
      open.add(agent);
      agent.once("close", () => open.delete(agent)).on("error", () => {});
      if (caller.destroyed) return void agent.destroy();
      pipeline(caller, agent, () => agent.destroy());
      pipeline(agent, caller, () => caller.destroy());
    } catch {
      // The caller sees a connection that is closed at once, and calls it UNAVAILABLE.
      caller.destroy();
    }
  }
  const cut = () => {
    for (const stream of open) stream.destroy();
  };
  server.listen(path);
  await once(server, "listening");
  return {
    target: `unix:${path}`,
    cut,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      cut();
      await closed;
      await rm(directory, { recursive: true });
    },
  };
}
