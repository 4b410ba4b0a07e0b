// A broker as sessions have it, in a thread of its own, that listens on loopback. It says its URL, and to whoever asks how
// long its loop was kept busy.
import { type AddressInfo, createServer } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { pino } from "pino";
import { Broker } from "../../host/broker/broker.ts";
import { NO_GIT_CREDENTIALS } from "../support/no-git-credentials.ts";
import { openModel } from "../support/open-model.ts";
import { watchLoop } from "./loop-delay.mjs";

const broker = new Broker({
  model: {
    ...openModel(workerData as string),
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
const longest = watchLoop();
server.listen(0, "127.0.0.1", () =>
  parentPort!.postMessage(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
);
parentPort!.on("message", () => parentPort!.postMessage(longest()));
