import { plainJson } from "../present/plain-text.ts";
import type { Output } from "../present/terminal.ts";

/** Prints a value as an indented JSON document, in which nothing is left that a terminal would obey. */
export function printJson(stdout: Output, value: unknown): void {
  stdout.write(`${plainJson(JSON.stringify(value, undefined, 2))}\n`);
}
