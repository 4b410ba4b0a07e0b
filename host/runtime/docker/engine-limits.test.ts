import { expect, test } from "vitest";
import { droppedLimits, limitsNotEnforced, missingLimits, weaknesses } from "./engine-limits.ts";

const good = { MemoryLimit: true, SwapLimit: true, CpuCfsQuota: true, PidsLimit: true };

test("names the limits that an engine says it cannot enforce", () => {
  expect(missingLimits(good)).toEqual([]);
  expect(missingLimits({ ...good, MemoryLimit: false, PidsLimit: false })).toEqual(["memory", "processes"]);
  expect(missingLimits({ ...good, CpuCfsQuota: false })).toEqual(["CPU"]);
  expect(missingLimits({ ...good, SecurityOptions: ["name=cgroupns"] })).toEqual(["system calls"]);
  expect(missingLimits({ ...good, SecurityOptions: ["name=seccomp,profile=default"] })).toEqual([]);
});

test("holds nothing against an engine that does not say", () => {
  expect(missingLimits({})).toEqual([]);
  expect(weaknesses({})).toEqual([]);
});

test("names the limits that a container was given without", () => {
  const asked = { Memory: 1024, NanoCpus: 5, PidsLimit: 512 };
  expect(droppedLimits(asked, { ...asked })).toEqual([]);
  expect(droppedLimits(asked, { Memory: 0, NanoCpus: 5 })).toEqual(["memory", "processes"]);
  const filtered = { ...asked, SecurityOpt: ["no-new-privileges", "seccomp={}"] };
  expect(droppedLimits(filtered, { ...filtered })).toEqual([]);
  expect(droppedLimits(filtered, { ...asked, SecurityOpt: ["seccomp=unconfined"] })).toEqual(["system calls"]);
});

test("warns of swap without a limit, which stops nothing", () => {
  expect(weaknesses({ ...good, SwapLimit: false })).toEqual([expect.stringContaining("swap")]);
  expect(weaknesses({ ...good, SecurityOptions: ["name=seccomp,profile=default"] })).toEqual([]);
});

test("says which limits do not hold, and what to do", () => {
  const error = limitsNotEnforced(["memory", "CPU"]);
  expect(error).toMatchObject({ reason: "LIMITS_NOT_ENFORCED", metadata: { limits: "memory,CPU" } });
  expect(error.toSentence()).toMatch(/memory, CPU.*CLAUDECLUSTER_ALLOW_WEAK_LIMITS/s);
});
