import { AppError } from "../proto/index.ts";

/** Reads "host:port". Throws INVALID_ARGUMENT for what is none. */
export function parseAddress(address: string): { hostname: string; port: number } {
  const match = /^(.+):(\d{1,5})$/.exec(address);
  const port = Number(match?.[2]);
  if (match !== null && port <= 65535) return { hostname: match[1]!.replace(/^\[|\]$/g, ""), port };
  throw new AppError("ADDRESS_INVALID", `"${address}" is not an address to listen on.`, {
    kind: "INVALID_ARGUMENT",
    help: "Use host:port, such as 127.0.0.1:8811.",
  });
}

/** Only programs on this machine can reach it. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
