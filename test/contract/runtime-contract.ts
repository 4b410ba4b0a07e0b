import { afterEach, beforeEach, describe, expect } from "vitest";
import type { Container, Runtime } from "../../host/runtime/runtime.ts";
import { describeCreate } from "./runtime-contract-create.ts";
import { describeDial } from "./runtime-contract-dial.ts";
import { describeEnd } from "./runtime-contract-end.ts";
import { describeFind } from "./runtime-contract-find.ts";
import type { ShapeOptions, RuntimeHarness } from "./runtime-harness.ts";

/** What a test of the contract works with; made anew for each. */
export interface Bench {
  harness: RuntimeHarness;
  runtime: Runtime;
  /** Bounds everything that waits. */
  signal: AbortSignal;
  create(overrides?: ShapeOptions): Promise<Container>;
}

/** The promises of the runtime port. Every implementation keeps them. */
export function describeRuntimeContract(name: string, openHarness: () => Promise<RuntimeHarness>): void {
  describe(`the ${name} runtime`, () => {
    let bench: Bench;

    beforeEach(async () => {
      const harness = await openHarness();
      const runtime = harness.openRuntime();
      const signal = AbortSignal.timeout(100_000);
      const create = (overrides?: ShapeOptions) => runtime.create(harness.shape(overrides), { signal });
      bench = { harness, runtime, signal, create };
    });

    afterEach(async () => {
      await bench.runtime[Symbol.asyncDispose]();
      const left = await bench.harness.countContainers();
      await bench.harness[Symbol.asyncDispose]();
      expect(left, "containers left behind").toBe(0);
    });

    describeCreate(() => bench);
    describeFind(() => bench);
    describeDial(() => bench);
    describeEnd(() => bench);
  });
}
