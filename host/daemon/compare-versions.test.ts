import { expect, test } from "vitest";
import { compareVersions } from "./compare-versions.ts";

test("orders versions as semver does", () => {
  const ordered = ["0.0.0-source", "0.1.0-rc.2", "0.1.0-rc.10", "0.1.0", "0.1.1", "0.10.0", "1.0.0"];
  const shuffled = [3, 0, 6, 2, 5, 1, 4].map((index) => ordered[index]!);
  expect(shuffled.sort(compareVersions)).toEqual(ordered);
  expect(compareVersions("1.2.3+build", "v1.2.3")).toBe(0);
});
