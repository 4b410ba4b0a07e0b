import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SetupError, say } from "./say.mjs";

const interruption = new AbortController();

/** Aborts at the first Ctrl-C or SIGTERM; every child process of these scripts listens to it. */
export const interrupted = interruption.signal;

/**
 * Runs `program` when the file at `moduleUrl` was started from the command line, and turns its failure into an exit code.
 * @param {string} moduleUrl
 * @param {(args: string[]) => Promise<void>} program
 */
export async function main(moduleUrl, program) {
  if (!isEntry(moduleUrl)) return;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => interruption.abort(new Error(name)));
  try {
    await program(process.argv.slice(2));
  } catch (error) {
    process.exitCode = interrupted.aborted ? 130 : report(error);
  }
}

/** @param {string} moduleUrl */
function isEntry(moduleUrl) {
  const entry = process.argv[1];
  return entry !== undefined && realpathSync(entry) === fileURLToPath(moduleUrl);
}

/** @param {unknown} error */
function report(error) {
  if (!(error instanceof SetupError)) {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return 1;
  }
  const { message, hint } = error;
  if (process.send) {
    // A program that started us says it in its own words.
    process.send({ message, hint });
  } else {
    say(message);
    if (hint) say(hint);
  }
  return error.exitCode;
}
