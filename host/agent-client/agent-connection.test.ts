import { createServer, type ServerHttp2Stream } from "node:http2";
import { duplexPair } from "node:stream";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { expect, onTestFinished, test, vi } from "vitest";
import { AgentService } from "../../proto/index.ts";
import { AgentConnection } from "./agent-connection.ts";

/** gRPC's frame of a message without fields. */
const EMPTY_MESSAGE_BYTES = 5;
const COUNT = 200_000;

test.each([1, 20])(
  "lets others have their turn while an agent floods it with empty messages, on %d streams",
  async (streams) => {
    const [near, far] = duplexPair();
    const server = createServer();
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.on("error", () => {});
      stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.alloc((COUNT / streams) * EMPTY_MESSAGE_BYTES));
    });
    far.on("error", () => {});
    far.once("end", () => far.destroy());
    server.emit("connection", far);
    const connection = new AgentConnection(near);
    onTestFinished(() => connection[Symbol.dispose]());

    let total = 0;
    let inTurn = 0;
    let most = 0;
    const turn = () => {
      most = Math.max(most, inTurn);
      inTurn = 0;
      if (total < COUNT) setImmediate(turn);
    };
    setImmediate(turn);
    const read = async () => {
      for await (const _message of connection.client.acceptConnections({})) {
        total++;
        inTurn++;
      }
    };
    await Promise.all(Array.from({ length: streams }, read));
    expect(total).toBe(COUNT);
    expect(Math.max(most, inTurn)).toBeLessThan(COUNT / 10);
  },
);

test("takes no more in one message of a tunnel than the contract lets an agent say", async () => {
  const [near, far] = duplexPair();
  const server = createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(AgentService, {
          async *tunnel(requests) {
            for await (const { data } of requests) yield { data: Buffer.alloc(data.length + 64 * 1024) };
          },
        }),
    }),
  );
  far.on("error", () => {});
  far.once("end", () => far.destroy());
  server.emit("connection", far);
  using connection = new AgentConnection(near);
  const say = async function* (size: number) {
    yield await Promise.resolve({ data: Buffer.alloc(size) });
  };
  const answers = async (size: number) => {
    let bytes = 0;
    for await (const { data } of connection.client.tunnel(say(size))) bytes += data.length;
    return bytes;
  };
  expect(await answers(0)).toBe(64 * 1024);
  await expect(answers(32 * 1024)).rejects.toMatchObject({ reason: "AGENT_INVALID" });
});

test("leaves nothing that keeps it in memory a minute after it was closed", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const [near, far] = duplexPair();
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200, "content-type": "application/grpc+proto" });
    stream.write(Buffer.alloc(EMPTY_MESSAGE_BYTES));
  });
  far.on("error", () => {});
  far.once("end", () => far.destroy());
  server.emit("connection", far);
  const connection = new AgentConnection(near);
  const messages = connection.client.acceptConnections({})[Symbol.asyncIterator]();
  await messages.next();
  connection[Symbol.dispose]();
  await expect(messages.next()).rejects.toThrow();
  await new Promise(setImmediate);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(vi.getTimerCount()).toBe(0);
});
