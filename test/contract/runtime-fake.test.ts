import { FakeHarness } from "./fake-harness.ts";
import { describeRuntimeContract } from "./runtime-contract.ts";

describeRuntimeContract("fake", () => Promise.resolve(new FakeHarness()));
