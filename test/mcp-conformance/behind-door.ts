import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import type { HttpAddress } from "../support/parent-servers.ts";

/** Opens a door to a server that wants a token, for a caller that has no way to show one. Disposing of it closes it. */
export async function openDoor({ url, headers }: HttpAddress): Promise<AsyncDisposable & { url: string }> {
  const { port } = new URL(url);
  const door = createServer((incoming, answer) => {
    const { method, url: path, headers: given } = incoming;
    const onward = request({ host: "127.0.0.1", port, method, path, headers: { ...given, ...headers } }, (came) =>
      came.pipe(answer.writeHead(came.statusCode!, came.headers)),
    );
    incoming.pipe(onward.on("error", () => answer.destroy()));
  }).listen(0, "127.0.0.1");
  await once(door, "listening");
  return {
    url: `http://127.0.0.1:${(door.address() as AddressInfo).port}/mcp`,
    async [Symbol.asyncDispose]() {
      const closed = once(door, "close");
      door.close();
      door.closeAllConnections();
      await closed;
    },
  };
}
