import { AppError } from "../../proto/index.ts";
import { addToken, readTokens, removeToken, tokensPath } from "../callers/tokens-file.ts";
import type { HostDirectories } from "../directories.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { printJson } from "./print-json.ts";

/** Makes a token for a caller elsewhere and prints it, alone. Throws what addToken throws, and CALLER_REMOTE. */
export function addTokenCommand({ stateDirectory }: HostDirectories, name: string, io: CommandIo): number {
  requireHere(io);
  const token = addToken(stateDirectory, name);
  io.stdout.write(`${token}\n`);
  io.stderr.write(
    `Give it to ${name}; it is not shown again. They send it as "Authorization: Bearer …", or name a file that holds it in CLAUDECLUSTER_TOKEN_FILE.\n`,
  );
  return EXIT.done;
}

/** Prints who has a token, and since when. Throws TOKENS_INVALID, CALLER_REMOTE. */
export function listTokensCommand(
  { stateDirectory }: HostDirectories,
  { json }: { json: boolean },
  io: CommandIo,
): number {
  requireHere(io);
  const tokens = readTokens(stateDirectory).map(({ name, create_time }) => ({ name, create_time }));
  if (json) printJson(io.stdout, tokens);
  else if (tokens.length === 0) io.stdout.write(`No caller has a token: ${tokensPath(stateDirectory)} holds none.\n`);
  const width = Math.max("CALLER".length, ...tokens.map(({ name }) => name.length));
  const rows = [{ name: "CALLER", create_time: "SINCE" }, ...tokens];
  if (!json && tokens.length > 0) {
    for (const { name, create_time: since } of rows) io.stdout.write(`${name.padEnd(width)}  ${since}\n`);
  }
  return EXIT.done;
}

/** Removes a caller's token: a host that runs takes it no more. Throws what removeToken throws, and CALLER_REMOTE. */
export function removeTokenCommand({ stateDirectory }: HostDirectories, name: string, io: CommandIo): number {
  requireHere(io);
  removeToken(stateDirectory, name);
  io.stdout.write(`The token of ${name} counts no more. Sessions that it has started go on: claudecluster list.\n`);
  return EXIT.done;
}

/** A host elsewhere has tokens of its own, which nobody on TCP gives out. */
function requireHere({ env }: CommandIo): void {
  if (!env["CLAUDECLUSTER_HOST"]) return;
  throw new AppError("CALLER_REMOTE", "Callers' tokens are given out on the host's own machine.", {
    help: "Run it there. For a host of this machine: unset CLAUDECLUSTER_HOST.",
  });
}
