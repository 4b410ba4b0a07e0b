import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, LookupFunction, Server } from "node:net";
import { duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { type Certificate, makeCertificate } from "../../test/support/certificate.ts";
import { startForwardProxy } from "../../test/support/forward-proxy.ts";
import { createProxyGateway } from "./egress/proxy-gateway.ts";
import { WayOut, type WayOutSettings } from "./way-out.ts";

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

const answersHello = (_request: unknown, response: { end(text: string): unknown }) => void response.end("hello");

async function ask(settings: WayOutSettings, url: string): Promise<string> {
  const wayOut = new WayOut(settings);
  const agents = wayOut.createAgents({ keepAlive: true });
  onTestFinished(() => [agents.http, agents.https].forEach((agent) => agent.destroy()));
  const request = wayOut.request(new URL(url), { method: "POST", headers: { "x-a": "b" } }, agents);
  request.end("body");
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  return `${answer.statusCode} ${await text(answer)}`;
}

test.each([
  ["https://api.test", [], true],
  ["http://api.test", [], false],
  ["https://api.test", ["*"], false],
  ["https://api.test", ["other.test", "API.test".toLowerCase()], false],
  ["https://x.api.test", ["api.test"], false],
  ["https://x.api.test", [".api.test"], false],
  ["https://x.api.test", ["*.api.test"], false],
  ["https://xapi.test", ["api.test", ".api.test"], true],
  ["https://api.test", ["api.test:443"], false],
  ["https://api.test:8443", ["api.test:443"], true],
  ["https://10.1.2.3", ["10.0.0.0/8"], false],
  ["https://11.1.2.3", ["10.0.0.0/8", "10.0.0.0/99", "x/8"], true],
  ["https://[fd00::1]:8443", ["fd00::1"], false],
  ["https://[fd00::1]:8443", ["[fd00::1]:8443"], false],
  ["https://[fd00::5]", ["fd00::/8"], false],
  ["https://127.0.0.1:4000", [], false],
])("a proxy for https leads to %s without %j: %s", (url, noProxy, expected) => {
  const wayOut = new WayOut({ httpsProxy: new URL("http://proxy.test:3128"), noProxy });
  expect(wayOut.proxyFor(new URL(url)) !== undefined).toBe(expected);
});

async function tlsServer(): Promise<Certificate & { port: number }> {
  const certificate = await makeCertificate();
  return { ...certificate, port: await listen(createTlsServer(certificate, answersHello)) };
}

test("reaches https through the proxy, which resolves the name, and trusts the user's authorities", async () => {
  const { cert, port } = await tlsServer();
  await using proxy = await startForwardProxy({ password: "p@ss" });
  const httpsProxy = new URL(proxy.url);
  [httpsProxy.username, httpsProxy.password] = ["user", "p@ss"];
  const url = `https://0.0.0.0:${port}/x`;
  expect(await ask({ httpsProxy, authorities: [cert] }, url)).toBe("200 hello");
  expect(proxy.asked).toEqual([`CONNECT 0.0.0.0:${port}`]);
  await expect(ask({ httpsProxy }, url)).rejects.toThrow(/certificate/);
  expect(await ask({ httpsProxy, authorities: [cert], noProxy: ["0.0.0.0"] }, url)).toBe("200 hello");
  expect(proxy.asked).toHaveLength(2);
});

test("asks the proxy for what is plain HTTP", async () => {
  const port = await listen(createHttpServer(answersHello));
  await using proxy = await startForwardProxy();
  expect(await ask({ httpProxy: proxy.url }, `http://inside.test:${port}/x?y`)).toBe("200 hello");
  expect(proxy.asked).toEqual([`POST http://inside.test:${port}/x?y`]);
});

test("names a proxy that refuses or is not there, without its credential", async () => {
  await using proxy = await startForwardProxy({ password: "other" });
  const wrong = new URL(proxy.url);
  [wrong.username, wrong.password] = ["user", "secret"];
  await expect(ask({ httpsProxy: wrong }, "https://a.test/")).rejects.toThrow(
    `the proxy ${proxy.url.host} answers 407: it wants a user and password`,
  );
  const gone = new URL("http://user:secret@127.0.0.1:1");
  await expect(ask({ httpsProxy: gone }, "https://a.test/")).rejects.toThrow(
    "the proxy 127.0.0.1:1 was not reached (ECONNREFUSED)",
  );
});

test("carries a container's tunnels and plain requests through the proxies, and looks at names as ever", async () => {
  const { port } = await tlsServer();
  const plain = await listen(createHttpServer(answersHello));
  await using proxy = await startForwardProxy();
  const wayOut = new WayOut({ httpsProxy: proxy.url, httpProxy: proxy.url });
  const agents = wayOut.createAgents({});
  onTestFinished(() => agents.http.destroy());
  const decisions: string[] = [];
  const gateway = createProxyGateway({
    egress: { open: false, allowed: new Set([`a.test:${port}`, `a.test:${plain}`]), allowedPrivate: new Set() },
    maxEgressBytes: 1e9,
    wayOut,
    agents,
    onDecision: ({ destination, allowed, reason }) => decisions.push(`${allowed ? "+" : "-"}${destination} ${reason}`),
    resolve: () => Promise.reject(new Error("no name server here")),
  });
  const open = () => {
    const [ours, theirs] = duplexPair();
    gateway.emit("connection", theirs);
    return ours;
  };
  const speak = async (servername: string) => {
    const socket = open();
    socket.write(`CONNECT a.test:${port} HTTP/1.1\r\nhost: x\r\n\r\n`);
    expect(String((await once(socket, "data"))[0])).toContain("200 Connection Established");
    return connectTls({ socket, servername, rejectUnauthorized: false }).on("error", () => {});
  };
  const secure = await speak("a.test");
  await once(secure, "secureConnect");
  secure.write("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  expect(await text(secure)).toContain("hello");
  (await speak("b.test")).resume();
  await expect.poll(() => decisions.at(-1)).toBe(`-a.test:${port} TLS asks for b.test`);
  const socket = open();
  socket.write(`GET http://a.test:${plain}/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
  expect(await text(socket)).toContain("hello");
  expect(proxy.asked).toEqual([`CONNECT a.test:${port}`, `CONNECT a.test:${port}`, `GET http://a.test:${plain}/x`]);
});

test("has the proxy dial the address that was checked where the user has not listed the name", async () => {
  const { port } = await tlsServer();
  const plain = await listen(createHttpServer((request, response) => void response.end(request.headers.host)));
  await using proxy = await startForwardProxy();
  const wayOut = new WayOut({ httpsProxy: proxy.url, httpProxy: proxy.url });
  const agents = wayOut.createAgents({});
  onTestFinished(() => agents.http.destroy());
  const gateway = createProxyGateway({
    egress: { open: true, allowed: new Set(), allowedPrivate: new Set() },
    maxEgressBytes: 1e9,
    wayOut,
    agents,
    onDecision: () => {},
    resolve: (host) => (host === "a.test" ? Promise.resolve(["1.1.1.1"]) : Promise.reject(new Error("unknown"))),
  });
  const ask = (lines: string) => {
    const [ours, theirs] = duplexPair();
    gateway.emit("connection", theirs);
    ours.write(`${lines} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    return ours;
  };
  const first = async (lines: string) => String((await once(ask(lines), "data"))[0]);
  expect(await first(`CONNECT a.test:${port}`)).toContain("200 Connection Established");
  expect(await first(`CONNECT b.test:${port}`)).toContain("403");
  expect(await text(ask(`GET http://a.test:${plain}/x`))).toContain(`a.test:${plain}`);
  expect(proxy.asked).toEqual([`CONNECT 1.1.1.1:${port}`, `GET http://1.1.1.1:${plain}/x`]);
});

test("has the proxy dial the address that the caller has looked up", async () => {
  const { cert, port } = await tlsServer();
  await using proxy = await startForwardProxy();
  const wayOut = new WayOut({ httpsProxy: proxy.url, authorities: [cert] });
  const agents = wayOut.createAgents({});
  onTestFinished(() => agents.https.destroy());
  const lookup: LookupFunction = (_host, { all }, callback) =>
    all === true ? callback(null, [{ address: "1.1.1.1", family: 4 }]) : callback(null, "1.1.1.1", 4);
  const request = wayOut.request(new URL(`https://0.0.0.0.nip.test:${port}/`), { lookup }, agents);
  request.on("error", () => {}).end();
  await expect.poll(() => proxy.asked).toEqual([`CONNECT 1.1.1.1:${port}`]);
  request.destroy();
});
