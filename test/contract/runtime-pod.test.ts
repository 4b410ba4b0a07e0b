import { expect, test } from "vitest";
import type { ContainerRef, ImageFacts } from "../../host/runtime/runtime.ts";
import { FakeHarness } from "./fake-harness.ts";
import { PodRuntime, VirtualClock } from "./pod-runtime.ts";
import { describeRuntimeContract } from "./runtime-contract.ts";

/** Pods on a fake cluster. */
class PodHarness extends FakeHarness {
  readonly clock = new VirtualClock();

  override openRuntime({ otherHost = false } = {}): PodRuntime {
    const { machine, clock, missingImage } = this;
    return new PodRuntime({ machine, clock, missingImage, hostId: otherHost ? "other" : "host" });
  }

  evict({ id }: ContainerRef): void {
    this.machine.box(id)!.exit({ cause: "evicted" });
  }

  protected override findImage(): ImageFacts {
    return { id: "pod-image", createTimeMs: 0, labels: {} };
  }
}

describeRuntimeContract("pod", () => Promise.resolve(new PodHarness()));

test("a pod takes minutes and is evicted, and the port can say both", async () => {
  await using harness = new PodHarness();
  await using runtime = harness.openRuntime();
  const { signal } = new AbortController();
  const container = await runtime.create(harness.shape(), { signal });
  expect(harness.clock.nowMs).toBe(300_000);
  harness.evict(container.ref);
  expect(await container.exited).toMatchObject({ cause: "evicted", exitCode: undefined });
});
