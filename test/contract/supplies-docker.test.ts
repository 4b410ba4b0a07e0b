import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { DockerRuntime } from "../../host/runtime/docker/docker-runtime.ts";
import { buildContractImages, type ContractImages, docker } from "./contract-image.ts";
import { DockerHarness } from "./docker-harness.ts";
import { type FilteredEngine, openFilteredEngine } from "./filtered-engine.ts";
import { describeSuppliesContract, ownSupplies, supplyDirectory } from "./supplies-contract.ts";

const signal = AbortSignal.timeout(170_000);
let images: ContractImages;
let filtered: FilteredEngine;
let harness: DockerHarness;
let runtime: DockerRuntime;

beforeAll(async () => {
  images = await buildContractImages();
  filtered = await openFilteredEngine({ images: [images.agent] });
});
afterAll(async () => {
  await filtered[Symbol.asyncDispose]();
  await images[Symbol.asyncDispose]();
});
afterEach(async () => {
  for (const { name, own } of await runtime.supplies.list({ signal })) {
    if (own) await runtime.supplies.remove(name, { signal });
  }
  const left = await ownSupplies(runtime.supplies, signal);
  await harness[Symbol.asyncDispose]();
  expect(left).toEqual([]);
});

const put = (options: { signal?: AbortSignal } = {}) =>
  runtime.supplies.put(supplyDirectory(), { image: images.agent, signal, ...options });
const list = () => ownSupplies(runtime.supplies, signal);

describe.each([
  ["docker", () => undefined],
  ["docker, behind the engine filter,", () => filtered.path],
])("%s", (name, engine) => {
  beforeEach(async () => {
    harness = await DockerHarness.open(images, engine());
    runtime = harness.openRuntime();
  });

  describeSuppliesContract(name, () => ({ supplies: runtime.supplies, image: images.agent }));

  test("a container reads the supply that it is given, as any user, and can write none of it", async () => {
    const supply = await put();
    const other = await put();
    expect(await runtime.supplies.has(supply, { signal })).toBe(true);
    expect(await list()).toEqual(expect.arrayContaining([supply, other]));
    expect(await harness.countContainers()).toBe(0);
    await using container = await runtime.create(harness.shape({ supply }), { signal });
    const run = (user: string, script: string) =>
      docker("exec", "--user", user, container.ref.id, "/bin/sh", "-c", `cd /supply; ${script}`);
    expect(await run("21000", "wc -c < objects/pack/a; wc -c < empty; ls")).toBe("3000001\n0\nempty\nobjects");
    for (const user of ["0", "21000"]) {
      expect(await run(user, "(echo x > new) 2>&1 || rm -rf empty 2>&1 || :")).toMatch(/Read-only file system/);
    }
    // One that is in use stays.
    await runtime.supplies.remove(supply, { signal });
    expect(await runtime.supplies.has(supply, { signal })).toBe(true);
    await using without = await runtime.create(harness.shape(), { signal });
    expect(await docker("exec", without.ref.id, "/bin/sh", "-c", "ls -d /supply || echo none")).toContain("none");
  });

  test("a supply that is gone is an empty one to a container, and is removed like the others", async () => {
    const supply = await put();
    await runtime.supplies.remove(supply, { signal });
    expect(await runtime.supplies.has(supply, { signal })).toBe(false);
    {
      await using container = await runtime.create(harness.shape({ supply }), { signal });
      expect(await docker("exec", container.ref.id, "/bin/sh", "-c", "ls /supply")).toBe("");
      expect(await list()).toEqual([supply]);
      expect(await runtime.supplies.has(supply, { signal })).toBe(false);
    }
    await runtime.supplies.remove(supply, { signal });
    expect(await list()).toEqual([]);
  });

  test("of one that is given up, cut or refused nothing is left", async () => {
    const before = await list();
    const hold = harness.proxy.hold("reply", /^PUT \/containers/);
    const aborted = new AbortController();
    const given = put({ signal: aborted.signal });
    await hold.matched;
    expect(await list()).toEqual(before);
    aborted.abort(new Error("not any more"));
    await expect(given).rejects.toThrow("not any more");
    hold.release();
    await expect(
      runtime.supplies.put(supplyDirectory(), { image: harness.missingImage, signal }),
    ).rejects.toMatchObject({
      reason: "SUPPLY_FAILED",
    });
    expect(await list()).toEqual(before);
    expect(await harness.countContainers()).toBe(0);
  });
});
