import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { callersWith } from "../../host/callers/callers.ts";
import { ControlServer } from "../../host/control/control-server.ts";
import { NO_UPLOADS } from "../support/no-snapshots.ts";
import { QUIET_HOST } from "../support/quiet-host.ts";
import { MemorySessions } from "./memory-sessions.ts";

const TOKEN = "a-token-of-the-tests";
const METRICS = "# TYPE claudecluster_queue_length gauge\nclaudecluster_queue_length 0\n";
const READY = { engineHealthy: true, storeProblem: "", credentialKind: "api_key" };

let info: Record<string, unknown>;
let looked: number;
let rig: Awaited<ReturnType<typeof startRig>>;
beforeEach(async () => {
  info = READY;
  looked = 0;
  rig = await startRig();
});
afterEach(() => rig[Symbol.asyncDispose]());

async function startRig() {
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), "claudecluster-probes-"));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const sessions = stack.use(new MemorySessions());
  const look = async () => ((looked += 1), info);
  const host = { ...QUIET_HOST, info: look, metrics: async () => METRICS };
  const options = { sessions, uploads: NO_UPLOADS, host, logger: pino({ level: "silent" }) };
  const server = stack.use(new ControlServer(options));
  const path = join(directory, "host.sock");
  await server.listenUnix(path);
  const callers = callersWith(TOKEN);
  const port = await server.listenTcp({ host: "127.0.0.1", port: 0, callers, allowedHosts: ["metrics.example"] });
  const owned = stack.move();
  return { port, path, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface Asked {
  method?: string;
  headers?: Record<string, string>;
  socket?: boolean;
}

/** Without a client's own idea of Host. */
async function ask(path: string, { method = "GET", headers = {}, socket = false }: Asked = {}) {
  const place = socket ? { socketPath: rig.path } : { host: "127.0.0.1", port: rig.port };
  const call = request({ ...place, path, method, headers: { host: `127.0.0.1:${rig.port}`, ...headers } });
  call.end();
  const [answer] = (await once(call, "response")) as [IncomingMessage];
  return { status: answer.statusCode, headers: answer.headers, body: await text(answer) };
}

const withToken = { authorization: `Bearer ${TOKEN}` };

test("says to whoever asks that it is alive, and whether a session could start", async () => {
  expect(await ask("/healthz")).toMatchObject({ status: 200, body: "ok\n" });
  expect(await ask("/healthz?probe=1", { method: "HEAD" })).toMatchObject({ status: 200, body: "" });
  const parts = "engine ok\nstore ok\ncredential ok\n";
  expect(await ask("/readyz")).toMatchObject({ status: 200, body: parts, headers: { "cache-control": "no-store" } });
  expect(await ask("/readyz", { socket: true })).toMatchObject({ status: 200, body: parts });
});

test.each([
  ["engine", { engineHealthy: false, engineProblem: "/run/docker.sock is missing" }],
  ["store", { storeProblem: "/state is full" }],
  ["credential", { credentialKind: "" }],
])("is not ready without its %s, and says no more of it than that", async (part, problem) => {
  info = { ...READY, ...problem };
  const { status, body } = await ask("/readyz");
  expect(status).toBe(503);
  expect(body.match(/^\w+ not ready$/gm)).toEqual([`${part} not ready`]);
  expect(body).not.toContain("/");
  expect(await ask("/healthz")).toMatchObject({ status: 200 });
});

test("looks no more often at whether it is ready, however many ask", async () => {
  await Promise.all(Array.from({ length: 100 }, () => ask("/readyz")));
  expect(looked).toBeLessThan(20);
});

test("shows its metrics to callers with a token, and to its own user", async () => {
  const answer = await ask("/metrics", { headers: withToken });
  expect(answer).toMatchObject({ status: 200, body: METRICS });
  expect(answer.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(await ask("/metrics", { socket: true })).toMatchObject({ status: 200, body: METRICS });
  for (const headers of [{}, { authorization: "Bearer another-token" }, { authorization: `Basic ${TOKEN}` }]) {
    const refused = await ask("/metrics", { headers: headers as Record<string, string> });
    expect(refused).toMatchObject({ status: 401, headers: { "www-authenticate": 'Bearer realm="claudecluster"' } });
    expect(refused.body).not.toContain("claudecluster_");
  }
});

test("answers in HTTP/2, too", async () => {
  const client = connectHttp2(`http://127.0.0.1:${rig.port}`);
  const stream = client.request({ ":path": "/metrics", ...withToken });
  expect(await text(stream)).toBe(METRICS);
  client.close();
});

test.each(["/healthz", "/readyz", "/metrics"])(
  "gives %s to no web page, under whatever name it comes",
  async (path) => {
    for (const host of ["attacker.example", `attacker.example:${rig.port}`, "127.0.0.1.attacker.example", "x", "@"]) {
      expect(await ask(path, { headers: { ...withToken, host } }), host).toMatchObject({ status: 403 });
    }
    for (const origin of ["https://attacker.example", `http://127.0.0.1:${rig.port}`, "null"]) {
      expect(await ask(path, { headers: { ...withToken, origin } }), origin).toMatchObject({ status: 403 });
    }
    for (const host of ["localhost", "[::1]:1", "10.0.0.7:8812", "metrics.example:8812"]) {
      expect(await ask(path, { headers: { ...withToken, host } }), host).toMatchObject({ status: 200 });
    }
  },
);

test("takes nothing but GET and HEAD", async () => {
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    expect(await ask("/metrics", { method, headers: withToken })).toMatchObject({ status: 405 });
  }
});
