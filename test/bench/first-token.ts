import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { createInterface } from "node:readline";
import { pino } from "pino";
import { Broker } from "../../host/broker/broker.ts";
import { dockerGateway } from "../support/docker.ts";
import { NO_GIT_CREDENTIALS } from "../support/no-git-credentials.ts";
import { openModel } from "../support/open-model.ts";
import { startHostRig } from "../support/rig.ts";
import { startSealedSession } from "../support/sealed-session.ts";
import { inTurn, type Part } from "./part.ts";
import { startPlainContainer } from "./plain-container.ts";
import { startTokenEndpoint } from "./token-endpoint.ts";

const CLIENT = readFileSync(new URL("./token-client.mjs", import.meta.url), "utf8");
const NODE = ["node", "--input-type=module", "--eval", CLIENT];
const SIZES = { "2 kB": 2e3, "100 kB": 1e5, "1 MB": 1e6 };
const WARM_UP_REQUESTS = 50;

/** The way of a request to the model and of the first token back: directly, through the broker, and out of a sealed container. */
export const firstToken: Part = async ({ image, requests, figures, say }) => {
  await using stack = new AsyncDisposableStack();
  const endpoint = stack.use(await startTokenEndpoint(await dockerGateway()));
  const broker = stack.use(await startBroker(endpoint.url));
  const rig = stack.use(await startHostRig({ config: { base_url: endpoint.url } }));
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
      const ask = (name: keyof typeof clients) => async () => {
        const { request, token } = await clients[name].ask(bytes);
        tokenMs[name] = token;
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
      figures.add(`${of}: of that on the way back`, tokenMs["broker"]! - tokenMs["direct"]!);
      figures.add(`${of}: plain container`, took.plain);
      figures.add(`${of}: sealed container`, took.sealed);
      figures.add(`${of}: added by relay, tunnel and broker`, took.sealed - took.plain);
      figures.add(`${of}: of that on the way back into the container`, tokenMs["sealed"]! - tokenMs["plain"]!);
    }
  }
};

/** A broker as sessions have it, that listens on loopback. */
async function startBroker(endpoint: string): Promise<AsyncDisposable & { url: string }> {
  const broker = new Broker({
    model: {
      ...openModel(endpoint),
      spending: { reserve: () => Promise.resolve({ held: { [Symbol.dispose]: () => {} } }), add: () => {} },
      onRetry: () => {},
      onReach: () => {},
    },
    git: NO_GIT_CREDENTIALS,
    proxy: { maxEgressBytes: 0 },
    logger: pino({ level: "silent" }),
    egress: { open: false, allowed: new Set(), allowedPrivate: new Set() },
    onDecision: () => {},
  });
  // As the relay does: answers come in small pieces.
  const server = createServer({ noDelay: true }, (socket) => broker.accept("model", socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      broker[Symbol.dispose]();
      await new Promise((resolve) => server.close(resolve));
    },
  };
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
