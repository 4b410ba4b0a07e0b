import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { type AnyRequest, type AnyResponse, AnyHttpServer, type ConnectionLimits } from "./any-http-server.ts";

async function startServer(
  limits: Partial<ConnectionLimits>,
  handle: (request: AnyRequest, response: AnyResponse) => void = (_request, response) => void response.end("x"),
) {
  const server = new AnyHttpServer(handle, limits);
  const port = await server.listen({ host: "127.0.0.1", port: 0 });
  onTestFinished(() => server.close({ graceMs: 0 }));
  return {
    server,
    open(text: string): Socket {
      const socket = connect(port, "127.0.0.1").on("error", () => {});
      socket.write(text);
      onTestFinished(() => void socket.destroy());
      return socket.resume();
    },
  };
}

const GET = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

test.each(["", "PR", "G", "GET / HTTP/1.1\r\nhost: x\r\n", `${GET}GET / HT`, `${GET}${GET}`])(
  "a connection that has said %j and says no more is cut",
  async (said) => {
    const { server, open } = await startServer({ firstBytesMs: 50, headersMs: 50 });
    await once(open(said), "close");
    await expect.poll(() => server.connectionCount).toBe(0);
  },
);

test("an answer may take as long as it likes, also behind another one", async () => {
  const answers: AnyResponse[] = [];
  const { open } = await startServer({ headersMs: 50 }, (_request, response) => {
    if (answers.push(response) < 2) return;
    answers[0]!.end("first");
    setTimeout(() => answers[1]!.end("second"), 300);
  });
  const socket = open(GET + GET);
  let heard = "";
  socket.on("data", (piece: Buffer) => (heard += piece.toString()));
  await once(socket, "close");
  expect(heard).toMatch(/first[^]*second/);
});

test("there are no more connections on TCP than the limit, and the next one is let in when one has gone", async () => {
  const { server, open } = await startServer({ connections: 2 });
  const [first, second] = [open("GET /"), open("GET /")];
  await expect.poll(() => server.connectionCount).toBe(2);
  await once(open(GET), "close");
  expect(server.connectionCount).toBe(2);
  first.destroy();
  await expect.poll(() => server.connectionCount).toBe(1);
  const third = open(GET);
  expect(String(await once(third, "data"))).toContain("200 OK");
  second.destroy();
});
