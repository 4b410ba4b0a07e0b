import type { TestProject } from "vitest/node";
import { type SecondEngine, newerPrograms, startSecondEngine } from "../crash/second-engine.ts";

declare module "vitest" {
  interface ProvidedContext {
    newerEngine: Pick<SecondEngine, "address" | "root"> & { programs: string };
  }
}

const IMAGE = process.env["CLAUDECLUSTER_IMAGE"] ?? "claudecluster/agent:latest";

/** Starts the newer engine with the agent's image, for all files of the project; it is gone when they are done. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const programs = await newerPrograms();
  const engine = await startSecondEngine({ images: [IMAGE], liveRestore: false, programs });
  const { address, root } = engine;
  project.provide("newerEngine", { address, root, programs });
  return async () => await engine[Symbol.asyncDispose]();
}
