import { docker } from "../support/docker.ts";

/** A container with the engine's defaults, in which programs can be run. Disposing of it removes it. */
export interface PlainContainer extends AsyncDisposable {
  id: string;
}

/** Starts a container that does nothing, with a network. */
export async function startPlainContainer(image: string): Promise<PlainContainer> {
  const id = await docker("run", "--detach", "--rm", "--init", "--entrypoint", "sleep", image, "infinity");
  return {
    id,
    async [Symbol.asyncDispose]() {
      await docker("rm", "--force", id);
    },
  };
}
