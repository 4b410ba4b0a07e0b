/**
 * Returns the problem of a connection that failed, in words that end a sentence, by Node's codes. For any other error it is
 * that error's message.
 */
export function connectProblem(error: unknown): string {
  const { code, address = "", port, hostname = "" } = (error ?? {}) as ConnectFailure;
  const at = port === undefined ? address : `${address}:${port}`;
  switch (code) {
    case "ENOENT":
      return `there is no socket at ${at}`;
    case "ENOTDIR":
      return `something on the way to ${at} is not a directory`;
    case "ECONNREFUSED":
      return `nothing listens at ${at}`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the name ${hostname} is not resolved`;
    case "EHOSTUNREACH":
    case "EHOSTDOWN":
    case "ENETUNREACH":
      return `there is no way to ${at}`;
    case "ETIMEDOUT":
      return `${at} does not answer`;
    case "ECONNRESET":
    case "EPIPE":
      return "the other side ended the connection";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

/** What Node adds to an error of a connection. */
interface ConnectFailure {
  code?: unknown;
  address?: string;
  port?: number;
  hostname?: string;
}
