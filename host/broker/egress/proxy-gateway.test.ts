import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import {
  connect as connectTls,
  type ConnectionOptions,
  createServer as createTlsServer,
  type TLSSocket,
} from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { makeCertificate } from "../../../test/support/certificate.ts";
import { extended, fragmented, helloOf } from "../../../test/support/client-hello.ts";
import { createProxyGateway, type ProxyGatewayOptions } from "./proxy-gateway.ts";
import { WayOut } from "../way-out.ts";

function createProxy(options: Partial<ProxyGatewayOptions> & { allowedPrivate?: string[]; allowed?: string[] }) {
  const decisions: string[] = [];
  const { wayOut = new WayOut() } = options;
  const agents = wayOut.createAgents({});
  onTestFinished(() => agents.http.destroy());
  const server = createProxyGateway({
    egress: { open: false, allowed: new Set(options.allowed), allowedPrivate: new Set(options.allowedPrivate) },
    maxEgressBytes: 1e9,
    wayOut,
    agents,
    onDecision: ({ destination, allowed, reason }) => decisions.push(`${allowed ? "+" : "-"}${destination} ${reason}`),
    // Whatever the name, it is this machine.
    resolve: () => Promise.resolve(["127.0.0.1"]),
    ...options,
  });
  const open = (): Duplex => {
    const [ours, theirs] = duplexPair();
    server.emit("connection", theirs);
    return ours;
  };
  const tunnel = async (authority: string): Promise<{ socket: Duplex; head: string }> => {
    const socket = open();
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: x\r\n\r\n`);
    const [head] = (await once(socket, "data")) as [Buffer];
    socket.pause();
    return { socket, head: head.toString() };
  };
  return { decisions, open, tunnel };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** A server that tells of the first bytes that come, so many at least, and answers nothing. */
async function listening({ bytes = 1 } = {}): Promise<{ port: number; received: Promise<Buffer> }> {
  const received = Promise.withResolvers<Buffer>();
  const port = await listen(
    createServer((socket: Socket) => {
      let seen: Buffer = Buffer.alloc(0);
      socket.on("error", () => {});
      socket.on("data", (chunk: Buffer) => {
        seen = Buffer.concat([seen, chunk]);
        if (seen.length >= bytes) received.resolve(seen);
      });
      socket.once("close", () => received.resolve(seen));
    }),
  );
  return { port, received: received.promise };
}

test("passes on TLS that asks for the name that was allowed", async () => {
  const { port, received } = await listening();
  const { tunnel } = createProxy({ allowedPrivate: [`a.test:${port}`] });
  const { socket } = await tunnel(`a.test:${port}`);
  connectTls({ socket, servername: "a.test" }).on("error", () => {});
  expect((await received).includes("a.test")).toBe(true);
  socket.destroy();
});

test.each([
  ["another name", "b.test", "TLS asks for b.test"],
  ["no name", undefined, "TLS asks for no name"],
])("ends TLS that asks for %s, before anything of it has left", async (_what, servername, reason) => {
  const { port, received } = await listening();
  const { tunnel, decisions } = createProxy({ allowedPrivate: [`a.test:${port}`] });
  const { socket } = await tunnel(`a.test:${port}`);
  connectTls({ socket, ...(servername !== undefined && { servername }) }).on("error", () => {});
  expect(await received).toHaveLength(0);
  expect(decisions).toEqual([`+a.test:${port} `, `-a.test:${port} ${reason}`]);
});

const PADDING = 21;
/** Hellos for b.test, whose name a server may know that is not as strict as the proxy. */
const HELLOS: readonly (readonly [string, (hello: Buffer) => Buffer])[] = [
  ["is larger than any client's", (hello) => fragmented(extended(hello, PADDING, Buffer.alloc(20_000)), 16_000)],
  ["comes in records of one byte", (hello) => fragmented(extended(hello, PADDING, Buffer.alloc(3000)), 1)],
  ["comes behind a warning", (hello) => Buffer.concat([Buffer.from([21, 3, 1, 0, 2, 1, 90]), hello])],
  ["comes behind a change of cipher", (hello) => Buffer.concat([Buffer.from([20, 3, 3, 0, 1, 1]), hello])],
  ["comes behind an empty record", (hello) => Buffer.concat([Buffer.from([22, 3, 1, 0, 0]), hello])],
  ["comes behind an empty record of data", (hello) => Buffer.concat([Buffer.from([23, 3, 1, 0, 0]), hello])],
  ["comes behind another message", (hello) => Buffer.concat([Buffer.from([22, 3, 1, 0, 4, 0, 0, 0, 0]), hello])],
  ["is of a version that never was", (hello) => Buffer.concat([Buffer.from([22, 2, 0]), hello.subarray(3)])],
  ["has no name, in the manner of SSL 2", () => Buffer.from([0x80, 0x2e, 1, 3, 3, 0, 3, 0, 0, 0, 32, 0, 0, 0x9c])],
];

test.each(HELLOS)("ends TLS whose hello %s, on any port", async (_what, change) => {
  const { port, received } = await listening();
  const { tunnel, decisions } = createProxy({ allowedPrivate: [`a.test:${port}`] });
  const { socket } = await tunnel(`a.test:${port}`);
  socket.on("error", () => {});
  socket.write(change(await helloOf("b.test")));
  expect(await received).toHaveLength(0);
  expect(decisions[1]).toMatch(/^-a\.test:\d+ TLS /);
});

test("ends TLS whose hello breaks off", async () => {
  const { port, received } = await listening();
  const { tunnel, decisions } = createProxy({ allowedPrivate: [`a.test:${port}`] });
  const { socket } = await tunnel(`a.test:${port}`);
  socket.end((await helloOf("b.test")).subarray(0, 100));
  expect(await received).toHaveLength(0);
  expect(decisions[1]).toMatch(/^-a\.test:\d+ TLS /);
});

test("passes on a large hello for the name that was allowed, whatever its records", async () => {
  const hello = extended(await helloOf("a.test"), PADDING, Buffer.alloc(12_000));
  for (const records of [hello, fragmented(hello, 1)]) {
    const { port, received } = await listening({ bytes: records.length });
    const { tunnel } = createProxy({ allowedPrivate: [`a.test:${port}`] });
    const { socket } = await tunnel(`a.test:${port}`);
    for (let at = 0; at < records.length; at += 1000) socket.write(records.subarray(at, at + 1000));
    expect((await received).equals(records)).toBe(true);
    socket.destroy();
  }
});

test("lets nobody hide the name that TLS asks for", async () => {
  const hello = extended(await helloOf("a.test"), 0xfe0d, Buffer.alloc(100));
  const { port, received } = await listening();
  const listed = createProxy({ allowedPrivate: [`a.test:${port}`] });
  (await listed.tunnel(`a.test:${port}`)).socket.write(hello);
  expect(await received).toHaveLength(0);
  expect(listed.decisions[1]).toContain("TLS may hide the name that it asks for");
});

/** A tunnel to a TLS server that sends back what comes, and what a client has of it. */
async function speak(client: ConnectionOptions, server: object): Promise<{ decisions: string[]; secure: TLSSocket }> {
  const tls = createTlsServer({ ...(await makeCertificate()), ...server }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  const port = await listen(tls);
  const { tunnel, decisions } = createProxy({ allowedPrivate: [`localhost:${port}`] });
  const { socket } = await tunnel(`localhost:${port}`);
  const secure = connectTls({ socket, servername: "localhost", rejectUnauthorized: false, ...client });
  onTestFinished(() => void secure.destroy());
  await once(secure, "secureConnect");
  secure.write("hello");
  expect(String((await once(secure, "data"))[0])).toBe("hello");
  return { decisions, secure };
}

test.each([
  ["TLS 1.3", {}],
  ["TLS 1.3 that needs a second hello", { ecdhCurve: "P-384" }],
  ["TLS 1.2", { maxVersion: "TLSv1.2" }],
])("passes on %s whole", async (_what, server) => {
  const { decisions } = await speak({ ecdhCurve: "X25519:P-384:P-256" }, server);
  expect(decisions).toHaveLength(1);
});

test("lets no TLS be negotiated anew, in which the name would not be seen", async () => {
  const { decisions, secure } = await speak({ maxVersion: "TLSv1.2" }, {});
  secure.on("error", () => {});
  secure.renegotiate({ rejectUnauthorized: false }, () => {});
  await expect.poll(() => decisions[1]).toMatch(/^-localhost:\d+ TLS is negotiated anew$/);
});

test("refuses a listed name that leads to this machine, and says why to the tool", async () => {
  const { tunnel, decisions } = createProxy({ allowed: ["a.test:443"] });
  const { head } = await tunnel("a.test:443");
  expect(head).toMatch(/^HTTP\/1.1 403 Refused by ClaudeCluster: a.test:443, it resolves to 127.0.0.1/);
  expect(decisions).toEqual(["-a.test:443 it resolves to 127.0.0.1, which is no public address"]);
});

test("lets other protocols pass on other ports, also those in which the server speaks first", async () => {
  const port = await listen(
    createServer((socket) => {
      socket.on("error", () => {});
      socket.end("220 hello\r\n");
    }),
  );
  const { tunnel } = createProxy({ allowedPrivate: [`a.test:${port}`] });
  const { socket, head } = await tunnel(`a.test:${port}`);
  expect(head + (await text(socket))).toContain("220 hello");
});

test("passes on only reading over plain HTTP, but to the repository", async () => {
  const port = await listen(createHttpServer((request, response) => response.end(request.method)));
  const ask = async (method: string, given: Parameters<typeof createProxy>[0]) => {
    const socket = createProxy(given).open();
    socket.write(
      `${method} http://a.test:${port}/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
    );
    return (await text(socket)).split("\r\n")[0];
  };
  const listed = { allowed: [`a.test:${port}`], resolve: () => Promise.resolve(["127.0.0.1"]) };
  expect(await ask("POST", listed)).toContain("403 Refused by ClaudeCluster");
  expect(await ask("PUT", listed)).toContain("only GET and HEAD");
  expect(await ask("POST", { allowedPrivate: [`a.test:${port}`] })).toBe("HTTP/1.1 200 OK");
});

test("opens no tunnel to a listed host's plain HTTP, in which methods and hosts would not be looked at", async () => {
  const resolve = () => Promise.resolve(["203.0.113.1"]);
  const { tunnel, decisions } = createProxy({ allowed: ["a.test:80"], resolve });
  const { head } = await tunnel("a.test:80");
  expect(head).toMatch(/^HTTP\/1.1 403 Refused by ClaudeCluster: a.test:80, plain HTTP is not tunnelled/);
  expect(decisions).toEqual(["-a.test:80 plain HTTP is not tunnelled"]);
});

test.each(["GET", "DELETE"])("passes on no second request in the body of a %s", async (method) => {
  const received = Promise.withResolvers<string>();
  const port = await listen(
    createServer((socket) => {
      let bytes = "";
      socket.on("data", (chunk: Buffer) => {
        bytes += chunk.toString();
        if (bytes.includes("\r\n\r\n")) setImmediate(() => socket.end("HTTP/1.1 204 No Content\r\n\r\n"));
      });
      socket.on("close", () => received.resolve(bytes));
    }),
  );
  const socket = createProxy({ allowedPrivate: [`a.test:${port}`] }).open();
  const hidden = "POST /b HTTP/1.1\r\nhost: b.test\r\n\r\n";
  const body = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
  socket.write(`${method} http://a.test:${port}/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${body}`);
  const [head] = (await received.promise).split("\r\n\r\n", 1);
  expect(head).toContain(`${method} /a HTTP/1.1`);
  // Nothing behind the head, or what says of itself that it is its body.
  if ((await received.promise).includes("/b")) expect(head!.toLowerCase()).toContain("transfer-encoding: chunked");
  socket.destroy();
});

test("ends what goes on after the session has moved all that it may", async () => {
  const port = await listen(
    createServer((socket) => {
      socket.on("error", () => {});
      socket.pipe(socket);
    }),
  );
  const { tunnel, decisions } = createProxy({ allowedPrivate: [`a.test:${port}`], maxEgressBytes: 1000 });
  const { socket } = await tunnel(`a.test:${port}`);
  const closed = once(socket, "close");
  socket.on("error", () => {});
  socket.resume();
  socket.write("x".repeat(600));
  await expect.poll(() => decisions).toContain(`-a.test:${port} the session has moved 1000 bytes`);
  socket.destroy();
  await closed;
});

test("has no more than 64 tunnels at once", async () => {
  const { port } = await listening();
  const { tunnel } = createProxy({ allowedPrivate: [`a.test:${port}`] });
  const open = await Promise.all(Array.from({ length: 64 }, () => tunnel(`a.test:${port}`)));
  expect(open.every(({ head }) => head.startsWith("HTTP/1.1 200"))).toBe(true);
  const { head } = await tunnel(`a.test:${port}`);
  expect(head).toContain("503 More than 64 connections at once");
  for (const { socket } of open) socket.destroy();
});
