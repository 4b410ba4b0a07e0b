// Sessions on a machine whose processors others want too: none may lose its connection, have an answer cut, or fail for
// load. Started by `npm run soak:busy`. Options: --busy N, --concurrent N, --seconds N, --seed N,
// --starve N: every so many seconds a container gets no processor for four to ten; 0: never.
import { parseArgs } from "node:util";
import { runOnBusyMachine } from "./busy-machine.ts";

const { values } = parseArgs({
  options: {
    busy: { type: "string", default: "20" },
    concurrent: { type: "string", default: "8" },
    seconds: { type: "string", default: "600" },
    starve: { type: "string", default: "15" },
    seed: { type: "string", default: String(Math.floor(Date.now() / 1000)) },
  },
});
process.stdout.write(`seed ${values.seed}\n`);
const startMs = Date.now();
const stopping = new AbortController();
for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  process.on(name, () => stopping.abort(new Error(`The run was ended by ${name}.`)));
}
const figures = await runOnBusyMachine({
  busyCount: Number(values.busy),
  concurrent: Number(values.concurrent),
  seconds: Number(values.seconds),
  seed: Number(values.seed),
  answerSeconds: [15, 45],
  ...(Number(values.starve) > 0 && { starve: { everySeconds: Number(values.starve), seconds: [4, 10] as const } }),
  signal: stopping.signal,
  say: (line) => process.stdout.write(`${((Date.now() - startMs) / 1000).toFixed(0).padStart(5)}s  ${line}\n`),
});
process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
const good = figures.connectionsLost + figures.answersCut + figures.failures.length === 0;
process.stdout.write(good ? "1 passed, 0 failed\n" : "0 passed, 1 failed\n");
if (!good) process.exitCode = 1;
