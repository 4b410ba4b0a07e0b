import { AppError } from "../../../proto/index.ts";
import type { EngineInfo } from "./engine.ts";
import { engineName, isPodman } from "./tested-engines.ts";

/**
 * Returns the error for an engine that speaks Docker's API and on which no session can start. Undefined: it is none of
 * these. Podman refuses parts of the seal: it takes a profile of system calls for a path on its own machine, and has no
 * options for a tmpfs's owner and number of files.
 */
export function unsupportedEngine(info: EngineInfo): AppError | undefined {
  if (!isPodman(info)) return undefined;
  const message = `${engineName(info)} is not supported: it takes neither a container's own seccomp profile nor tmpfs with an owner and a bound on files, and both are part of the seal.`;
  return new AppError("RUNTIME_UNSUPPORTED", message, {
    metadata: { engine: engineName(info) },
    help: "Use Docker Engine, also rootless, or Docker Desktop: set DOCKER_HOST to its socket, or choose it with `docker context use`.",
  });
}
