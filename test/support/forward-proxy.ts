import { once } from "node:events";
import { createServer, type IncomingMessage, request as httpRequest } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";

/** An HTTP proxy as companies have one: it resolves names by itself, here all to this machine. */
export interface ForwardProxy extends AsyncDisposable {
  url: URL;
  /** "CONNECT host:port", "GET http://…", with what was shown of a credential. */
  asked: string[];
}

/** Starts one; with a password it wants "user" and that. */
export async function startForwardProxy({ password }: { password?: string } = {}): Promise<ForwardProxy> {
  const asked: string[] = [];
  const isKnown = ({ headers, method, url }: IncomingMessage): boolean => {
    asked.push(`${method} ${url}`);
    const wanted = `Basic ${Buffer.from(`user:${password}`).toString("base64")}`;
    return password === undefined || headers["proxy-authorization"] === wanted;
  };
  const server = createServer((request, response) => {
    if (!isKnown(request)) return response.writeHead(407).end();
    const { port, pathname, search } = new URL(request.url ?? "");
    const { method, headers } = request;
    const onward = httpRequest({ host: "127.0.0.1", port, method, path: pathname + search, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    return request.pipe(onward);
  });
  server.on("connect", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => {});
    if (!isKnown(request)) return socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    const port = Number(/:(\d+)$/.exec(request.url ?? "")?.[1]);
    const onward = connect({ host: "127.0.0.1", port }, () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    socket.once("close", () => onward.destroy());
    return onward.on("error", () => socket.destroy());
  });
  // Tunnels are no longer the server's.
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => void sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return {
    url,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
