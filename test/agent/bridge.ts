import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { type Connection, connectOver } from "./agent-rig.ts";

/** What stands between a host and the agent's socket, and can stop: it neither reads nor writes, and closes nothing. */
export class Bridge {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  readonly #path: string;

  static async open(target: string): Promise<Bridge> {
    const bridge = new Bridge(target);
    bridge.#server.listen(bridge.#path);
    await once(bridge.#server, "listening");
    return bridge;
  }

  private constructor(target: string) {
    this.#path = join(target, "..", "bridge.sock");
    this.#server = createServer({ allowHalfOpen: true }, (host) => {
      const agent = connect({ path: target, allowHalfOpen: true });
      this.#sockets.push(host, agent);
      for (const socket of [host, agent]) socket.on("error", () => {});
      host.pipe(agent).pipe(host);
    });
  }

  dial(): Connection {
    return connectOver(connect(this.#path));
  }

  stop(): void {
    for (const socket of this.#sockets) {
      socket.unpipe();
      socket.pause();
      // What is under way arrives nowhere.
      socket.removeAllListeners("data");
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
