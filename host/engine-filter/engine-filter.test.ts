import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type Server, createServer as createHttpServer, request } from "node:http";
import { type Socket, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openFilteredEngine, type FilteredEngine } from "../../test/contract/filtered-engine.ts";
import { sendBytes, sendRaw } from "../../test/contract/raw-engine.ts";
import { EXEC_START, execConfig } from "../runtime/docker/exec-config.ts";
import { EngineFilter } from "./engine-filter.ts";

// How bytes pass, and what an engine may do that a real one seldom does.

const id = "a".repeat(64);
const exec = "b".repeat(64);
const identity = "filter-1";
let directory: string;
let engine: Server;
let filtered: FilteredEngine;
/** First lines of what the engine has seen, without inspections. */
let seen: string[];
/** The engine's end of an exec. */
let streams: Socket[];
let wait: { answer?: (text: string) => void; gone?: Promise<unknown> };

beforeEach(async () => {
  [seen, streams, wait] = [[], [], {}];
  directory = await mkdtemp(join(tmpdir(), "stub-engine-"));
  const path = join(directory, "docker.sock");
  engine = createHttpServer((incoming, outgoing) => {
    const inspected = {
      Id: id,
      Created: "",
      State: {},
      Config: { Labels: { "dev.claudecluster.filter": identity } },
      HostConfig: {},
    };
    if (incoming.url?.endsWith("/json") && incoming.method === "GET")
      return void outgoing.end(JSON.stringify(inspected));
    seen.push(`${incoming.method} ${incoming.url}`);
    if (incoming.url?.endsWith("/exec")) return void outgoing.writeHead(201).end(JSON.stringify({ Id: exec }));
    if (incoming.url?.endsWith("/kill"))
      return void outgoing.writeHead(500).end(JSON.stringify({ message: "no\u001b[31m" }));
    if (!incoming.url?.endsWith("/wait")) return void outgoing.end("{}");
    outgoing.writeHead(200).flushHeaders();
    wait.answer = (answer) => outgoing.end(answer);
    wait.gone = once(outgoing, "close");
    engine.emit("waiting");
  });
  engine.on("upgrade", (incoming, socket: Socket) => {
    incoming.resume();
    streams.push(socket.on("error", () => {}));
    socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst ");
    engine.emit("stream");
  });
  engine.listen(path);
  await once(engine, "listening");
  filtered = await openFilteredEngine({ images: ["agent"], identity, engine: path });
});
afterEach(async () => {
  await filtered[Symbol.asyncDispose]();
  for (const stream of streams) stream.destroy();
  engine.closeAllConnections();
  engine.close();
  await rm(directory, { recursive: true });
});

/** The host's end of an exec. */
async function openStream(): Promise<Socket> {
  await sendRaw(filtered.path, { method: "POST", path: `/containers/${id}/exec`, body: execConfig(["dial-stdio"]) });
  const body = JSON.stringify(EXEC_START);
  const sent = request({
    createConnection: () => connect({ path: filtered.path, allowHalfOpen: true }),
    method: "POST",
    path: `/exec/${exec}/start`,
    headers: { host: "engine", connection: "Upgrade", upgrade: "tcp", "content-length": body.length },
  });
  // In pieces, since a body may come later than its head.
  sent.write(body.slice(0, 3));
  setImmediate(() => sent.end(body.slice(3)));
  const [, socket, head] = (await once(sent, "upgrade")) as [unknown, Socket, Buffer];
  socket.unshift(head);
  return socket;
}

/** What comes until the end of this direction; the other stays open. */
async function read(socket: Socket): Promise<string> {
  let all = "";
  socket.on("data", (chunk: Buffer) => (all += chunk.toString()));
  await once(socket, "end");
  return all;
}

test("joins both sides of an exec; the end of one direction leaves the other open", async () => {
  const socket = await openStream();
  const [stream] = streams as [Socket];
  const [given, received] = [read(stream), read(socket)];
  socket.end("in");
  expect(await given).toMatch(/in$/); // Before 26, Node has left the request's body before it.
  stream.end("out");
  expect(await received).toBe("first out");
});

test("ends an exec on one side as soon as the other is gone, whichever it is", async () => {
  const first = await openStream();
  const firstClosed = once(first.resume(), "close");
  streams[0]!.destroy();
  first.end();
  await firstClosed;
  const second = await openStream();
  const secondClosed = once(streams[1]!.resume(), "end");
  second.destroy();
  await secondClosed;
});

test("does not end a wait by itself, and passes its answer on", async () => {
  const waiting = once(engine, "waiting");
  const answer = sendRaw(filtered.path, { method: "POST", path: `/containers/${id}/wait` });
  await waiting;
  wait.answer!('{"StatusCode":3,"Error":null}');
  expect(await answer).toEqual({ status: 200, json: { StatusCode: 3 } });
});

test("ends a call to the engine when nobody waits for it any more", async () => {
  const waiting = once(engine, "waiting");
  const call = request({ socketPath: filtered.path, method: "POST", path: `/containers/${id}/wait` }).on(
    "error",
    () => {},
  );
  call.end();
  await waiting;
  call.destroy();
  await wait.gone;
});

test("breaks the connection, with no answer, where the engine does", async () => {
  const waiting = once(engine, "waiting");
  const answer = sendRaw(filtered.path, { method: "POST", path: `/containers/${id}/wait` });
  await waiting;
  const broken = expect(answer).rejects.toMatchObject({ code: "ECONNRESET" });
  engine.closeAllConnections();
  await broken;
  engine.close();
  await once(engine, "close");
  await expect(sendRaw(filtered.path, { method: "GET", path: "/info" })).rejects.toMatchObject({ code: "ECONNRESET" });
});

test("passes on why the engine refuses, without what a terminal would obey", async () => {
  const answer = await sendRaw(filtered.path, { method: "POST", path: `/containers/${id}/kill` });
  expect(answer).toEqual({ status: 500, json: { message: "no[31m" } });
});

const smuggled = `POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`;
test.each([
  [
    "two lengths",
    `POST /containers/${id}/start HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n${smuggled}`,
  ],
  [
    "a length and chunks",
    `POST /containers/${id}/start HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  ],
  [
    "chunks by another name",
    `POST /containers/${id}/start HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
  ],
  [
    "a folded header",
    `POST /containers/${id}/start HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n${smuggled}`,
  ],
  ["bare line feeds", `POST /containers/${id}/start HTTP/1.1\nHost: x\nContent-Length: 5\n\nabcde${smuggled}`],
  [
    "a body that is not to be there",
    `POST /containers/${id}/start HTTP/1.1\r\nHost: x\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  ],
  ["a second line in the first", `GET /info\r\nX: y HTTP/1.1\r\nHost: x\r\n\r\n${smuggled}`],
  ["headers without end", `GET /info HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(20_000)}\r\n\r\n`],
  ["CONNECT", `CONNECT docker:80 HTTP/1.1\r\nHost: x\r\n\r\n${smuggled}`],
  ["another protocol", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["no host", `GET /info HTTP/1.1\r\n\r\n`],
])("passes nothing on of a request with %s", async (_what, bytes) => {
  expect(await sendBytes(filtered.path, bytes)).not.toMatch(/^HTTP\/1.1 [23]/);
  expect(seen).toEqual([]);
});

test("answers one request on a connection, and passes nothing on that comes behind it", async () => {
  const first = `GET /info HTTP/1.1\r\nHost: x\r\n\r\n`;
  const answer = await sendBytes(filtered.path, first + `POST /containers/${id}/start HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1.1 200/);
  expect(seen).toEqual(["GET /info"]);
});

test.each([
  ["in chunks", "Transfer-Encoding: chunked", "1b\r\n{}"],
  ["longer than it may be", "Content-Length: 999999999", "{}"],
  ["of another kind", "Content-Length: 2", "[]"],
])("starts no exec with a body %s", async (_what, header, body) => {
  await sendRaw(filtered.path, { method: "POST", path: `/containers/${id}/exec`, body: execConfig(["dial-stdio"]) });
  const head = `POST /exec/${exec}/start HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n${header}\r\n\r\n`;
  expect(await sendBytes(filtered.path, head + body)).toMatch(/^HTTP\/1.1 4(03|13) /);
  expect(streams).toEqual([]);
});

test("takes the place of a socket that was left, and of nothing else", async () => {
  const path = join(directory, "left.sock");
  const left = createServer().listen(path);
  await once(left, "listening");
  const options = { listen: path, engine: "", images: [], identity, logger: undefined as never };
  await (await EngineFilter.open(options))[Symbol.asyncDispose]();
  left.close();
  await expect(EngineFilter.open({ ...options, listen: directory })).rejects.toMatchObject({ reason: "LISTEN_FAILED" });
});
