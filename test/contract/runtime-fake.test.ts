import { FakeSupplies } from "../../host/runtime/fake/fake-supplies.ts";
import { FakeHarness } from "./fake-harness.ts";
import { describeRuntimeContract } from "./runtime-contract.ts";
import { describeSuppliesContract } from "./supplies-contract.ts";

describeRuntimeContract("fake", () => Promise.resolve(new FakeHarness()));

describeSuppliesContract("fake", () => ({ supplies: new FakeSupplies(), image: "agent" }));
