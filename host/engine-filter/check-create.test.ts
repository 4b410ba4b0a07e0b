import { expect, test } from "vitest";
import { ESCAPES, MALFORMED } from "../../test/contract/hostile-creates.ts";
import { type ContainerPlan, containerConfig, MAX_PREPARES_CHARS } from "../runtime/docker/container-config.ts";
import { checkCreate, imageOf } from "./check-create.ts";

const MIB = 2 ** 20;
const name = "claudecluster-0123456789abcdef";
const plan: ContainerPlan = {
  key: "0123456789abcdef",
  shape: {
    image: "claudecluster/agent:latest",
    memoryBytes: 2048 * MIB,
    cpuCount: 2,
    workspaceSizeBytes: 1024 * MIB,
  },
  sessionUid: 20_007,
  owner: { hostId: "host-1", version: "1.2.3" },
  imageVolumes: [],
  limitsCpu: true,
  filtersSystemCalls: true,
};

/** As it arrives. */
function bodyOf(given: ContainerPlan): ReturnType<typeof containerConfig> & { HostConfig: Record<string, unknown> } {
  return JSON.parse(JSON.stringify(containerConfig(given))) as ReturnType<typeof bodyOf>;
}

test("takes whatever the host makes of a session, unchanged", () => {
  for (const memoryBytes of [16 * MIB, 128 * MIB + 1, 256 * MIB, 2048 * MIB, 2 ** 40]) {
    for (const workspaceSizeBytes of [1, MIB, 10_000_001, 16 * MIB, memoryBytes]) {
      if (workspaceSizeBytes > memoryBytes) continue;
      for (const cpuCount of [0.1, 1 / 3, 1.5, 64]) {
        const shape = { ...plan.shape, memoryBytes, workspaceSizeBytes, cpuCount };
        const body = bodyOf({ ...plan, shape });
        expect(checkCreate(body, { name, imageVolumes: [] })).toEqual(body);
      }
    }
  }
});

test("takes what the agent prepares itself for, up to a bound", () => {
  const withText = (prepares: string) => bodyOf({ ...plan, shape: { ...plan.shape, prepares } });
  const body = withText("x".repeat(MAX_PREPARES_CHARS));
  expect(checkCreate(body, { name, imageVolumes: [] })).toEqual(body);
  expect(() => checkCreate(withText("x".repeat(MAX_PREPARES_CHARS + 1)), { name, imageVolumes: [] })).toThrow("Env.4");
  const twice = { ...body, Env: [...body.Env!, body.Env!.at(-1)!] };
  expect(() => checkCreate(twice, { name, imageVolumes: [] })).toThrow("Env.5");
});

test("takes the image's volumes and every session uid", () => {
  const imageVolumes = ["/data", "/workspace"];
  for (const sessionUid of [20_000, 20_999]) {
    const body = bodyOf({ ...plan, sessionUid, imageVolumes });
    expect(checkCreate(body, { name, imageVolumes })).toEqual(body);
    expect(imageOf(body)).toBe("claudecluster/agent:latest");
  }
});

test.each([...ESCAPES, ...MALFORMED])("refuses %s", (_what, change) => {
  expect(() => checkCreate(parse(change(bodyOf(plan))), { name, imageVolumes: [] })).toThrow(
    expect.objectContaining({ reason: "ENGINE_CALL_REFUSED", kind: "PERMISSION_DENIED" }),
  );
});

test("refuses a container whose image's volumes are not covered, or are others", () => {
  expect(() => checkCreate(bodyOf(plan), { name, imageVolumes: ["/data"] })).toThrow("HostConfig.Tmpfs./data");
  const covering = bodyOf({ ...plan, imageVolumes: ["/etc"] });
  expect(() => checkCreate(covering, { name, imageVolumes: [] })).toThrow("HostConfig.Tmpfs./etc");
});

test("says where the difference is, not what it is", () => {
  const body = { ...bodyOf(plan), "\u001b[31mEvil": "secret" };
  expect(() => checkCreate(body, { name, imageVolumes: [] })).toThrow(
    "[31mEvil is not what a session's container has.",
  );
});

/** What is text already goes over the wire as it is; what cannot be read there is refused before. */
function parse(given: unknown): unknown {
  if (typeof given !== "string") return given;
  try {
    return JSON.parse(given) as unknown;
  } catch {
    return undefined;
  }
}
