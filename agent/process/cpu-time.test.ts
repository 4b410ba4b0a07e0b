import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { childrenCpuTicks, cpuTicksOf } from "./cpu-time.ts";

test("tells a child that works, whatever it calls itself, from one that waits, and counts it still when it has ended", async () => {
  const before = childrenCpuTicks();
  const name = `require("fs").writeFileSync("/proc/self/comm", "a) R 1 (b");`;
  const busy = spawn(process.execPath, ["-e", `${name} for (const end = Date.now() + 1e9; Date.now() < end;);`]);
  await expect.poll(() => cpuTicksOf(busy.pid), { timeout: 20_000 }).toBeGreaterThan(20);
  expect(childrenCpuTicks()).toBeGreaterThan(before + 20);
  busy.kill("SIGKILL");
  await once(busy, "exit");
  expect(childrenCpuTicks()).toBeGreaterThan(before + 20);
  expect(cpuTicksOf(busy.pid)).toBe(0);
});
