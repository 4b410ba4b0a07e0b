import { EXIT } from "./cli/command-io.ts";
import { outputFailed, StandardStream } from "./cli/output.ts";
import { main } from "./cli/program.ts";

// node:sqlite is announced as experimental in Node 22; the warning would go between our lines.
process.removeAllListeners("warning");

const controller = new AbortController();
let signalCount = 0;
let failed = false;
// The first signal asks for an orderly end. Claude Code sends a second one 100 ms later, so only the
// third, from somebody who has lost patience, ends the process as it is.
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => {
    signalCount += 1;
    if (signalCount > 2) process.exit(130);
    controller.abort(new Error(name));
  });
}
// A bug in one place must not leave containers behind: everything that we own is disposed of first.
process.on("uncaughtException", (error) => {
  process.stderr.write(
    `${JSON.stringify({ level: 60, name: "claudecluster", msg: "uncaught exception", stack: error.stack })}\n`,
  );
  failed = true;
  controller.abort(error);
});
// A reader that has gone is no reason to leave containers behind.
const output = StandardStream.open("stdout", () => controller.abort(new Error("standard output is closed")));
const errors = StandardStream.open("stderr");

const { stdin, env } = process;
const [stdout, stderr] = [output.stream, errors.stream];
let exitCode = await main(process.argv.slice(2), { stdin, stdout, stderr, env, signal: controller.signal });
const unwritten = await output.settled();
if (unwritten !== undefined) exitCode = outputFailed(unwritten, stderr);
// An answer may have been there. Who closes it does not want it.
const unsaid = await errors.settled();
if (unsaid !== undefined && unsaid.code !== "EPIPE") exitCode ||= EXIT.environment;
// Everything that we own has been disposed of; idle keep-alive sockets need not be waited for.
process.exit(failed ? 1 : exitCode);
