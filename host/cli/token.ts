import { addToken, readTokens, removeToken, tokensPath } from "../callers/tokens-file.ts";
import type { HostDirectories } from "../directories.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { printJson } from "./print-json.ts";

/** Makes a token for a caller elsewhere and prints it, alone. Throws what addToken throws. */
export function addTokenCommand({ stateDirectory }: HostDirectories, name: string, io: CommandIo): number {
  const token = addToken(stateDirectory, name);
  io.stdout.write(`${token}\n`);
  io.stderr.write(
    `Give it to ${name}; it is not shown again. They send it as "Authorization: Bearer …", or name a file that holds it in CLAUDECLUSTER_TOKEN_FILE.\n`,
  );
  return EXIT.done;
}

/** Prints who has a token, and since when. Throws TOKENS_INVALID. */
export function listTokensCommand(
  { stateDirectory }: HostDirectories,
  { json }: { json: boolean },
  io: CommandIo,
): number {
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

/** Removes a caller's token: a host that runs takes it no more. Throws what removeToken throws. */
export function removeTokenCommand({ stateDirectory }: HostDirectories, name: string, io: CommandIo): number {
  removeToken(stateDirectory, name);
  io.stdout.write(`The token of ${name} counts no more. Sessions that it has started go on: claudecluster list.\n`);
  return EXIT.done;
}
