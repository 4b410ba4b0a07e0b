import { hostname } from "node:os";
import type { EngineClient } from "./engine-client.ts";
import { refused } from "./refused.ts";

const PROJECT = "com.docker.compose.project";

/**
 * Returns the labels by which Docker Compose takes a container for a one-off container of a service in the filter's own project:
 * `down` ends such ones, `restart`, `stop` and `up` do not. `target` is the filter's own container: by default the machine's
 * name, which in a container is the start of its id. Throws ENGINE_CALL_REFUSED if the filter is in no project.
 */
export async function composeLabels(
  engine: Pick<EngineClient, "call">,
  service: string,
  { target = hostname(), ...options }: { signal: AbortSignal; target?: string },
): Promise<Record<string, string>> {
  const found = /^[0-9a-f]{12}$/.test(target)
    ? await engine.call({ kind: "inspect", method: "GET", target }, options)
    : { status: 404, json: undefined };
  if (found.status !== 200 && found.status !== 404) throw new Error("The engine did not say what the filter runs in.");
  const { Config } = (found.json ?? {}) as { Config?: { Labels?: Record<string, string> } };
  const project = Config?.Labels?.[PROJECT];
  if (project === undefined)
    throw refused("The filter is in no compose project whose service its containers could be.");
  return {
    [PROJECT]: project,
    "com.docker.compose.service": service,
    "com.docker.compose.oneoff": "True",
    "com.docker.compose.container-number": "1",
    // Compose looks at no container without it.
    "com.docker.compose.config-hash": "session",
  };
}
