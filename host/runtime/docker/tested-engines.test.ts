import { expect, test } from "vitest";
import type { EngineInfo } from "./engine.ts";
import { engineName, untestedEngine } from "./tested-engines.ts";

const debian12: EngineInfo = {
  ServerVersion: "20.10.24+dfsg1",
  OperatingSystem: "Debian GNU/Linux 12 (bookworm)",
  CgroupVersion: "1",
  CgroupDriver: "cgroupfs",
  Driver: "overlay2",
  DefaultRuntime: "runc",
  Architecture: "x86_64",
  SecurityOptions: ["name=seccomp,profile=default"],
};

test("says nothing of an engine that the suites are run on", () => {
  expect(untestedEngine(debian12)).toBeUndefined();
  const newer = { ...debian12, ServerVersion: "26.1.5+dfsg1", SecurityOptions: ["name=seccomp,profile=builtin"] };
  expect(untestedEngine(newer)).toBeUndefined();
});

test.each<[Partial<EngineInfo>, string]>([
  [{ ServerVersion: "28.2.2" }, "Docker 28.2, cgroup v1 (cgroupfs), overlay2, runc, x86_64."],
  [{ CgroupVersion: "2", CgroupDriver: "systemd" }, "Docker 20.10, cgroup v2 (systemd), overlay2"],
  [{ Driver: "overlayfs" }, "cgroup v1 (cgroupfs), overlayfs, runc"],
  [{ DefaultRuntime: "runsc" }, "overlay2, runsc, x86_64"],
  [{ Architecture: "aarch64" }, "runc, aarch64"],
  [{ SecurityOptions: ["name=seccomp,profile=default", "name=rootless"] }, "x86_64, rootless."],
  [{ SecurityOptions: ["name=userns", "name=apparmor", "name=cgroupns"] }, "x86_64, apparmor, userns."],
  [{ OperatingSystem: "Docker Desktop" }, "Docker Desktop 20.10, "],
  [{ BuildahVersion: "1.37.3", ServerVersion: "5.2.3", CgroupVersion: "v2" }, "Podman 5.2, cgroup v2 (cgroupfs)"],
])("says what is not tested, and what is: %o", (difference, found) => {
  const warning = untestedEngine({ ...debian12, ...difference });
  expect(warning).toContain(found);
  expect(warning).toMatch(/Tested: Docker 20\.10, .*; Docker 26\.1, /);
});

test("takes an engine that does not say what it is for an untested one", () => {
  expect(untestedEngine({})).toContain("Docker of unknown version, unknown cgroup version, unknown storage driver");
  expect(engineName({})).toBe("Docker of unknown version");
});
