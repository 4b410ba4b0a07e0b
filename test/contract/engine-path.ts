import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { findEngineAddress } from "../../host/runtime/docker/engine-address.ts";

/** Path of the engine's socket. Throws where it has none on this machine. */
export function enginePath(): string {
  const readText = (path: string) => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  };
  const address = findEngineAddress({
    env: process.env,
    homeDirectory: homedir(),
    platform: process.platform,
    readText,
  });
  if (address.kind === "socket") return address.path;
  throw new Error("The contract needs an engine on a local socket. Unset DOCKER_HOST, or: docker context use default");
}
