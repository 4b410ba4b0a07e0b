import type { Output } from "../present/terminal.ts";

/** Streams and environment of a command, and the signal that ends it. */
export interface CommandIo {
  stdin: NodeJS.ReadStream;
  stdout: Output;
  stderr: Output;
  env: NodeJS.ProcessEnv;
  /** Aborted by SIGINT, SIGTERM and SIGHUP, with an Error that has the signal's name as its message. */
  signal: AbortSignal;
}

/** Exit codes, as the documentation has them. */
export const EXIT = {
  done: 0,
  sessionFailed: 1,
  usage: 2,
  environment: 3,
  notFound: 4,
  /** A result does not go together with what the user has: nothing was written. */
  conflicts: 5,
  canceled: 130,
  /** As a shell shows a program that SIGPIPE has ended. */
  outputClosed: 141,
} as const;
