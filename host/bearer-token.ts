import { readFile } from "node:fs/promises";
import { AppError } from "../proto/index.ts";
import { readProblem } from "./file-problem.ts";

/** A token shorter than this can be guessed. */
const MIN_TOKEN_LENGTH = 16;

/** Reads the bearer token from a file. Throws TOKEN_FILE_UNREADABLE, and TOKEN_TOO_SHORT below 16 characters. */
export async function readToken(path: string): Promise<string> {
  let token: string;
  try {
    token = (await readFile(path, "utf8")).trim();
  } catch (error) {
    throw new AppError("TOKEN_FILE_UNREADABLE", `The token file ${path} cannot be read: ${readProblem(error)}.`, {
      help: "Make one that only you can read: openssl rand -hex 32.",
      cause: error,
    });
  }
  if (token.length >= MIN_TOKEN_LENGTH) return token;
  throw new AppError("TOKEN_TOO_SHORT", `The token in ${path} has fewer than ${MIN_TOKEN_LENGTH} characters.`, {
    help: "Make a new one: openssl rand -hex 32.",
  });
}
