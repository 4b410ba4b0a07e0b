import { afterAll, beforeAll } from "vitest";
import { type ContractImages, buildContractImages } from "./contract-image.ts";
import { DockerHarness } from "./docker-harness.ts";
import { type FilteredEngine, openFilteredEngine } from "./filtered-engine.ts";
import { describeRuntimeContract } from "./runtime-contract.ts";

let images: ContractImages;
let filtered: FilteredEngine;

beforeAll(async () => {
  images = await buildContractImages();
  const { agent, floodingAgent } = images;
  filtered = await openFilteredEngine({ images: [agent, floodingAgent, DockerHarness.missingImage] });
});

afterAll(async () => {
  await filtered[Symbol.asyncDispose]();
  await images[Symbol.asyncDispose]();
});

describeRuntimeContract("docker, behind the engine filter,", () => DockerHarness.open(images, filtered.path));
