import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Supplies } from "../../host/runtime/supplies.ts";

/** Makes a directory for a supply, which is removed after the test. */
export function supplyDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "cc-supply-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, "objects/pack"), { recursive: true });
  writeFileSync(join(directory, "objects/pack/a"), Buffer.alloc(3_000_001, "a"));
  writeFileSync(join(directory, "empty"), "");
  return directory;
}

/** Returns the names of this host's supplies. */
export async function ownSupplies(supplies: Supplies, signal: AbortSignal): Promise<string[]> {
  return (await supplies.list({ signal })).filter(({ own }) => own).map(({ name }) => name);
}

/** The promises of the supplies of a runtime that containers have no part in. Every implementation keeps them. */
export function describeSuppliesContract(name: string, open: () => { supplies: Supplies; image: string }): void {
  test(`the ${name} runtime keeps what was put there, each for itself, until it is removed`, async () => {
    const { supplies, image } = open();
    const signal = AbortSignal.timeout(100_000);
    const directory = supplyDirectory();
    const [one, other] = [
      await supplies.put(directory, { image, signal }),
      await supplies.put(directory, { image, signal }),
    ];
    expect(one).not.toBe(other);
    expect((await ownSupplies(supplies, signal)).sort()).toEqual([one, other].sort());
    const listed = (await supplies.list({ signal })).find((each) => each.name === one);
    expect(Math.abs(Date.now() - listed!.createTimeMs)).toBeLessThan(60_000);
    await supplies.remove(one, { signal });
    await supplies.remove(one, { signal });
    expect(await supplies.has(one, { signal })).toBe(false);
    expect(await supplies.has(other, { signal })).toBe(true);
    await supplies.remove(other, { signal });
    expect(await ownSupplies(supplies, signal)).toEqual([]);
    const aborted = AbortSignal.abort(new Error("not any more"));
    await expect(supplies.put(directory, { image, signal: aborted })).rejects.toThrow("not any more");
    expect(await ownSupplies(supplies, signal)).toEqual([]);
  });
}
