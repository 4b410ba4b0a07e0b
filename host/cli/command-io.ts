/** What a command talks to, and what ends it. */
export interface CommandIo {
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WritableStream;
  env: NodeJS.ProcessEnv;
  /** Aborted by SIGINT and SIGTERM. */
  signal: AbortSignal;
}

/** Documented exit codes. */
export const EXIT = {
  done: 0,
  sessionFailed: 1,
  usage: 2,
  environment: 3,
  notFound: 4,
  canceled: 130,
} as const;
