import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ContainerSpecSchema } from "../../proto/index.ts";
import { completeShape } from "./container-shape.ts";

const limits = (spec: MessageInitShape<typeof ContainerSpecSchema>) =>
  completeShape(create(ContainerSpecSchema, spec), { image: "agent:1" });

test("gives 2 GiB and two CPUs, or as many as there are; a wish is one", () => {
  expect(limits({})).toEqual({
    image: "agent:1",
    memoryBytes: 2 * 1024 ** 3,
    cpuCount: 2,
    fewerCpusWillDo: true,
    workspaceSizeBytes: 1024 ** 3,
  });
  expect(limits({ cpuCount: 1.5 })).toMatchObject({ cpuCount: 1.5, fewerCpusWillDo: false });
});

test.each([
  [{ memoryBytes: 1024n ** 2n }, "MEMORY_INVALID"],
  [{ memoryBytes: 9999n * 1024n ** 4n }, "MEMORY_INVALID"],
  [{ cpuCount: 0 }, "CPU_INVALID"],
  [{ cpuCount: -2 }, "CPU_INVALID"],
  [{ cpuCount: 1e9 }, "CPU_INVALID"],
  [{ image: "--privileged" }, "IMAGE_INVALID"],
  [{ image: "a b" }, "IMAGE_INVALID"],
])("refuses the limits %o", (spec, reason) => {
  expect(() => limits(spec)).toThrow(expect.objectContaining({ reason, kind: "INVALID_ARGUMENT" }));
});
