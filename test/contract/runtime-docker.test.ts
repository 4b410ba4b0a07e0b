import { afterAll, beforeAll } from "vitest";
import { type ContractImages, buildContractImages } from "./contract-image.ts";
import { DockerHarness } from "./docker-harness.ts";
import { describeRuntimeContract } from "./runtime-contract.ts";

let images: ContractImages;

beforeAll(async () => {
  images = await buildContractImages();
});

afterAll(async () => {
  await images[Symbol.asyncDispose]();
});

describeRuntimeContract("docker", () => DockerHarness.open(images));
