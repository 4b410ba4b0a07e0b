import { once } from "node:events";
import { createServer, request, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { collectGarbage } from "../../test/support/collect-garbage.ts";
import { HeldBytes } from "./held-bytes.ts";
import { RequestBodies, type UnreadBody } from "./request-bodies.ts";

async function serve(bodies: RequestBodies) {
  const read: { size: number | UnreadBody; response: ServerResponse }[] = [];
  const server = createServer((incoming, response) => {
    void bodies.read(incoming, response).then((body) => {
      read.push({ size: typeof body === "string" ? body : body.length, response });
      server.emit("read");
    });
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return async (body: string) => {
    const heard = once(server, "read");
    request({ port, method: "POST" })
      .on("error", () => {})
      .end(body);
    await heard;
    return read.at(-1)!;
  };
}

test("gives a body whole, and none that is too large", async () => {
  const send = await serve(new RequestBodies({ maxBytes: 10 }));
  expect((await send("0123456789")).size).toBe(10);
  expect((await send("0123456789a")).size).toBe("too large");
});

test("holds no more than it may, and again as much once the answers are out", async () => {
  const send = await serve(new RequestBodies({ held: new HeldBytes(10) }));
  const first = await send("01234567");
  expect((await send("0123")).size).toBe("no room");
  const closed = once(first.response, "close");
  first.response.end();
  await closed;
  expect((await send("0123456")).size).toBe(7);
});

test("holds nothing of a body that it does not give", async () => {
  const held = new HeldBytes(10);
  const send = await serve(new RequestBodies({ maxBytes: 8, held }));
  expect((await send("0123456789")).size).toBe("too large");
  expect((await send("01234567")).size).toBe(8);
});

test("holds no body of a connection that has gone, though its answer waits for the one before", async () => {
  const held = new HeldBytes(10);
  const bodies = new RequestBodies({ held });
  const both = Promise.withResolvers<undefined>();
  let readCount = 0;
  const server = createServer((incoming, response) => {
    void bodies.read(incoming, response).then(() => ++readCount === 2 && both.resolve(undefined));
  });
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port);
  socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n01234".repeat(2));
  await both.promise;
  expect(held.hold(1)).toBe(false);
  socket.destroy();
  await vi.waitFor(() => expect(held.hold(10)).toBe(true), 20_000);
});

test("several hold no more than they may together, each no more than its own", async () => {
  let full = 0;
  const within = new HeldBytes(10, { onFull: () => full++ });
  const [one, other] = [new HeldBytes(8, { within }), new HeldBytes(8, { within })];
  expect([one.hold(8), other.hold(3)]).toEqual([true, false]);
  // What there is no room for counts nowhere.
  expect([one.hold(1), other.hold(2), full]).toEqual([false, true, 1]);
  one.release(8);
  expect([other.hold(6), one.hold(2)]).toEqual([true, true]);
});

test("holds a body that comes in pieces of a byte in not much more than its size", async () => {
  const size = 200_000;
  const bodies = new RequestBodies();
  const used = Promise.withResolvers<number>();
  const server = createServer((incoming, response) => {
    collectGarbage();
    const before = process.memoryUsage();
    let seen = 0;
    incoming.on("data", (chunk: Buffer) => {
      seen += chunk.length;
      if (seen < size) return;
      collectGarbage();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      used.resolve(heapUsed + arrayBuffers - before.heapUsed - before.arrayBuffers);
    });
    void bodies.read(incoming, response).then((body) => response.end(String(body.length)));
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port).on("error", () => {});
  socket.write("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
  socket.write(`${"1\r\nx\r\n".repeat(size)}0\r\n\r\n`);
  expect(await used.promise).toBeLessThan(20 * size);
  expect(String((await once(socket, "data"))[0])).toContain(String(size));
  socket.destroy();
});
