import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { Worker } from "node:worker_threads";
import { dockerGateway } from "../support/docker.ts";
import { startHostRig } from "../support/rig.ts";
import { startSealedSession } from "../support/sealed-session.ts";
import { inTurn, type Part } from "./part.ts";
import { startPlainContainer } from "./plain-container.ts";
import { startTokenEndpoint } from "./token-endpoint.ts";

const CLIENT = readFileSync(new URL("./token-client.mjs", import.meta.url), "utf8");
const LOOP_DELAY = new URL("./loop-delay.mjs", import.meta.url).href;
const NODE = ["node", "--input-type=module", "--eval", CLIENT];
const SIZES = { "2 kB": 2e3, "100 kB": 1e5, "1 MB": 1e6 };
const WARM_UP_REQUESTS = 50;

/** The way of a request to the model and of the first token back: directly, through the broker, and out of a sealed container. */
export const firstToken: Part = async ({ image, requests, figures, say }) => {
  await using stack = new AsyncDisposableStack();
  const endpoint = stack.use(await startTokenEndpoint(await dockerGateway()));
  const broker = stack.use(await startBroker(endpoint.url));
  const area = await mkdtemp(join(tmpdir(), "claudecluster-loop-"));
  stack.defer(() => rm(area, { recursive: true }));
  const loop = join(area, "socket");
  const rig = stack.use(
    await startHostRig({
      config: { base_url: endpoint.url },
      nodeOptions: ["--import", `${LOOP_DELAY}?socket=${encodeURIComponent(loop)}`],
    }),
  );
  const plain = stack.use(await startPlainContainer(image));
  const sealed = await startSealedSession(rig, { task: "Wait.", until: "turnFinished", idleMs: 3_600_000 });
  const inContainer = (id: string, environment: Record<string, string>) => {
    const variables = Object.entries(environment).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
    return ["docker", "exec", "--interactive", "--user", sealed.user, ...variables, id, ...NODE];
  };
  const direct = { ANTHROPIC_BASE_URL: endpoint.url, ANTHROPIC_API_KEY: "placeholder" };
  const clients = {
    direct: stack.use(startClient(NODE, direct)),
    broker: stack.use(startClient(NODE, { ...direct, ANTHROPIC_BASE_URL: broker.url })),
    plain: stack.use(startClient(inContainer(plain.id, direct))),
    sealed: stack.use(startClient(inContainer(sealed.container, sealed.environment))),
  };
  for (const [size, bytes] of Object.entries(SIZES)) {
    say(`first token of ${size} requests`);
    for (let round = 1 - WARM_UP_REQUESTS; round <= requests; round++) {
      const tokenMs: Record<string, number> = {};
      const stallMs: Record<string, number> = {};
      const stalls = { broker: () => broker.longestStall(), sealed: () => longestStall(loop) };
      const ask = (name: keyof typeof clients) => async () => {
        const stall = name === "broker" || name === "sealed" ? stalls[name] : undefined;
        await stall?.();
        const { request, token } = await clients[name].ask(bytes);
        tokenMs[name] = token;
        stallMs[name] = (await stall?.()) ?? 0;
        return request + token;
      };
      const took = await inTurn(Math.abs(round), {
        direct: ask("direct"),
        broker: ask("broker"),
        plain: ask("plain"),
        sealed: ask("sealed"),
      });
      if (round < 1) continue;
      const of = `first token, ${size} request`;
      figures.add(`${of}: direct`, took.direct);
      figures.add(`${of}: through the broker`, took.broker);
      figures.add(`${of}: added by the broker`, took.broker - took.direct);
      figures.add(`${of}: longest stall of the broker's loop`, stallMs["broker"]!);
      figures.add(`${of}: of that on the way back`, tokenMs["broker"]! - tokenMs["direct"]!);
      figures.add(`${of}: plain container`, took.plain);
      figures.add(`${of}: sealed container`, took.sealed);
      figures.add(`${of}: added by relay, tunnel and broker`, took.sealed - took.plain);
      figures.add(`${of}: longest stall of the host's loop`, stallMs["sealed"]!);
      figures.addRatio(`${of}: sealed / plain container`, took.sealed, took.plain);
      figures.add(`${of}: of that on the way back into the container`, tokenMs["sealed"]! - tokenMs["plain"]!);
    }
  }
};

interface BrokerThread extends AsyncDisposable {
  url: string;
  /** Returns the longest time that its loop was kept busy since it was last asked (ms). */
  longestStall(): Promise<number>;
}

async function startBroker(endpoint: string): Promise<BrokerThread> {
  const thread = new Worker(new URL("./broker-thread.ts", import.meta.url), { workerData: endpoint });
  const [url] = (await once(thread, "message")) as [string];
  return {
    url,
    async longestStall() {
      const said = once(thread, "message") as Promise<[number]>;
      thread.postMessage("");
      return (await said)[0];
    },
    async [Symbol.asyncDispose]() {
      await thread.terminate();
    },
  };
}

/** Returns the longest time that a process with loop-delay.mjs was kept busy since it was last asked (ms). */
async function longestStall(socketPath: string): Promise<number> {
  return Number(await text(connect(socketPath)));
}

interface Client extends AsyncDisposable {
  /** Asks the model; returns the ms in which the request got there, and those in which the first token came. */
  ask(bytes: number): Promise<{ request: number; token: number }>;
}

function startClient([command, ...args]: string[], environment: Record<string, string> = {}): Client {
  const env = { ...process.env, ...environment };
  const child = spawn(command!, args, { env, stdio: ["pipe", "pipe", "inherit"] });
  const closed = once(child, "close");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(bytes) {
      child.stdin.write(`${bytes}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error("A client has ended.");
      const [request, token] = value.split(" ").map(Number);
      return { request: request!, token: token! };
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await closed;
    },
  };
}
