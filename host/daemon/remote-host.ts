import { AppError } from "../../proto/index.ts";
import { isLoopback } from "../address.ts";
import { readToken } from "../bearer-token.ts";
import type { TcpAddress } from "../control/control-client.ts";

/**
 * Reads from the environment which host elsewhere this front is to use. Undefined: the one of this machine and user. Throws
 * HOST_ADDRESS_INVALID, also for an address at which the token and the code could be read on the way, and TOKEN_FILE_MISSING.
 */
export function readRemoteHost(env: NodeJS.ProcessEnv): TcpAddress | undefined {
  const given = env["CLAUDECLUSTER_HOST"] ?? "";
  if (given === "") return undefined;
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const plain = url?.protocol === "http:";
  // Nothing behind the port: no user, no password, no path.
  if (url === undefined || (!plain && url.protocol !== "https:") || url.href !== `${url.origin}/`) {
    throw invalid("CLAUDECLUSTER_HOST is not the address of a host.", "Give its origin: https://host.example:8812.");
  }
  if (plain && !isLoopback(url.hostname.replace(/^\[|\]$/g, ""))) {
    throw invalid(
      `CLAUDECLUSTER_HOST is ${url.origin}: the token and the code could be read on the way.`,
      `Use https, or a tunnel: ssh -L 8812:127.0.0.1:${url.port || "80"} ${url.hostname}, then http://127.0.0.1:8812.`,
    );
  }
  const tokenFile = env["CLAUDECLUSTER_TOKEN_FILE"] ?? "";
  if (tokenFile === "") {
    throw new AppError("TOKEN_FILE_MISSING", `The host at ${url.origin} wants a bearer token.`, {
      help: "Name the file that holds it: CLAUDECLUSTER_TOKEN_FILE.",
    });
  }
  return { url: url.origin, token: () => readToken(tokenFile) };
}

function invalid(message: string, help: string): AppError {
  return new AppError("HOST_ADDRESS_INVALID", message, { help });
}
