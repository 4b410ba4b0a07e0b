import { main } from "./cli/program.ts";

// node:sqlite is announced as experimental in Node 22; the warning would go between our lines.
process.removeAllListeners("warning");

const controller = new AbortController();
// The first signal asks for an orderly end; Claude Code sends a second kind 100 ms later.
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => controller.abort(new Error(name)));
}
// A reader that has gone is no reason to leave containers behind.
process.stdout.on("error", () => controller.abort(new Error("standard output is closed")));
process.stderr.on("error", () => {});

const { stdout, stderr, env } = process;
process.exitCode = await main(process.argv.slice(2), { stdout, stderr, env, signal: controller.signal });
// Everything that we own has been disposed of; idle keep-alive sockets need not be waited for.
process.exit();
