import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

test("asks V8 for nothing that it does not know", () => {
  const program = `
    import { collectOldObjectsSeldom } from ${JSON.stringify(new URL("./old-objects.ts", import.meta.url))};
    collectOldObjectsSeldom();`;
  const args = ["--experimental-strip-types", "--disable-warning=ExperimentalWarning", "--input-type=module"];
  const { status, stderr } = spawnSync(process.execPath, [...args, "--eval", program], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
