import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

const PROGRAM = `
  import { giveUnusedMemoryBack } from ${JSON.stringify(new URL("./unused-memory.ts", import.meta.url))};
  import { setTimeout as sleep } from "node:timers/promises";
  let objects = Array.from({ length: 1_000_000 }, (_, id) => ({ id, text: "x" + id }));
  const mib = () => process.memoryUsage.rss() / 1024 ** 2;
  const fullMiB = mib();
  objects = undefined;
  void giveUnusedMemoryBack({ windowMs: 50, signal: AbortSignal.timeout(20_000) });
  for (let time = 0; time < 1000 && mib() > fullMiB - 60; time++) await sleep(20);
  console.log(fullMiB - mib() >= 60 ? "given back" : "kept " + mib() + " of " + fullMiB);`;

test("a process that was large once, and is quiet, gives back what it does not use", () => {
  const args = ["--experimental-strip-types", "--disable-warning=ExperimentalWarning", "--input-type=module"];
  const { stdout, stderr } = spawnSync(process.execPath, [...args, "--eval", PROGRAM], { encoding: "utf8" });
  expect({ stdout, stderr }).toEqual({ stdout: "given back\n", stderr: "" });
});
