import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A port of this machine that leads to another one, as ssh -L makes it. */
export interface Relay extends Disposable {
  port: number;
  /** Cuts what is connected, and takes no more. */
  cut(): void;
  /** Takes connections again. */
  mend(): void;
}

/** Starts a relay to a port of loopback. */
export async function startRelay(to: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let whole = true;
  const server = createServer((socket) => {
    if (!whole) return void socket.destroy();
    const other = connect(to, "127.0.0.1");
    for (const [one, another] of [
      [socket, other],
      [other, socket],
    ] as const) {
      sockets.add(one);
      one.on("error", () => {}).once("close", () => (sockets.delete(one), another.destroy()));
      one.pipe(another);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    whole = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    mend: () => (whole = true),
    [Symbol.dispose]() {
      cut();
      server.close();
    },
  };
}
