import { durationMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { completeLimits } from "./container-limits.ts";
import { parseSize, spawnInputSchema, toCreateRequest } from "./spawn-request.ts";

test.each([
  ["2g", 2 * 1024 ** 3],
  ["512M", 512 * 1024 ** 2],
  ["1.5GiB", 1.5 * 1024 ** 3],
  ["4096", 4096],
  ["1 gb", 1024 ** 3],
])("reads the size %s", (text, bytes) => expect(parseSize(text)).toBe(bytes));

test.each(["", "-1g", "0", "lots", "1e9", "2gg"])("refuses the size %j", (text) => {
  expect(() => parseSize(text)).toThrow(expect.objectContaining({ reason: "MEMORY_INVALID" }));
});

test("refuses unknown arguments by name", () => {
  const parsed = spawnInputSchema.safeParse({ task: "x", tmieout: 3 });
  expect(parsed.error?.message).toContain("tmieout");
});

test("leaves defaults to those who own them", () => {
  const { spec, container } = toCreateRequest({ task: "x" });
  expect(spec.timeout).toBeUndefined();
  expect(container.memoryBytes).toBe(0n);
  expect(durationMs(toCreateRequest({ task: "x", timeout_seconds: 1.5 }).spec.timeout!)).toBe(1500);
});

test("refuses a ref without a repository", () => {
  expect(() => toCreateRequest({ task: "x", ref: "main" })).toThrow(
    expect.objectContaining({ reason: "REF_WITHOUT_REPOSITORY" }),
  );
});

const limits = (input: Parameters<typeof toCreateRequest>[0]) =>
  completeLimits(toCreateRequest(input).container, { image: "agent:1" });

test("gives 2 GiB and two CPUs, or as many as there are; a wish is one", () => {
  expect(limits({ task: "x" })).toEqual({
    image: "agent:1",
    memoryBytes: 2 * 1024 ** 3,
    cpuCount: 2,
    fewerCpusWillDo: true,
    workspaceSizeBytes: 1024 ** 3,
  });
  expect(limits({ task: "x", cpus: 1.5 })).toMatchObject({ cpuCount: 1.5, fewerCpusWillDo: false });
});

test.each([
  [{ memory: "1m" }, "MEMORY_INVALID"],
  [{ memory: "9999t" }, "MEMORY_INVALID"],
  [{ cpus: 0 }, "CPU_INVALID"],
  [{ cpus: -2 }, "CPU_INVALID"],
  [{ cpus: 1e9 }, "CPU_INVALID"],
  [{ image: "--privileged" }, "IMAGE_INVALID"],
  [{ image: "a b" }, "IMAGE_INVALID"],
])("refuses the limits %j", (input, reason) => {
  expect(() => limits({ task: "x", ...input })).toThrow(expect.objectContaining({ reason, kind: "INVALID_ARGUMENT" }));
});
