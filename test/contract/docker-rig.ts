import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import type { DockerRuntime } from "../../host/runtime/docker/docker-runtime.ts";
import { type ContractImages, buildContractImages } from "./contract-image.ts";
import { DockerHarness } from "./docker-harness.ts";

/** What tests on the real engine have; the rig ends it. */
export interface DockerRig {
  images: ContractImages;
  harness: DockerHarness;
  runtime: DockerRuntime;
}

/** Gives each test of a file a harness and a runtime of its own, and holds it to leave no container behind. */
export function dockerRig(): DockerRig {
  const rig = {} as DockerRig;
  beforeAll(async () => {
    rig.images = await buildContractImages();
  });
  afterAll(async () => {
    await rig.images[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    rig.harness = await DockerHarness.open(rig.images);
    rig.runtime = rig.harness.openRuntime();
  });
  afterEach(async () => {
    await rig.runtime[Symbol.asyncDispose]();
    const left = await rig.harness.countContainers();
    await rig.harness[Symbol.asyncDispose]();
    expect(left, "containers left behind").toBe(0);
  });
  return rig;
}
