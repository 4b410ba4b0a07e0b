import type { EngineInfo } from "./engine.ts";

/** What of an engine decides how its containers behave, in the words that people are shown. */
interface EngineTraits {
  /** Product, major and minor version. */
  engine: string;
  cgroups: string;
  storage: string;
  runtime: string;
  architecture: string;
  /** What else changes what a container may do: rootless, userns, apparmor, selinux. */
  modes: string[];
}

const RIG = {
  cgroups: "cgroup v1 (cgroupfs)",
  storage: "overlay2",
  runtime: "runc",
  architecture: "x86_64",
  modes: [],
};

/**
 * The engines that the suites are run on. CONTRIBUTING.md says what adds one.
 *
 * Tried once, and not in here because not every suite was run: Docker 26.1 with cgroup v2 (systemd) and AppArmor (sessions,
 * sealed containers, the attacks of `test/attack/attack.test.ts`; on a kernel in user space, without Landlock and with one
 * CPU), the same rootless (a session, sealed containers), with userns-remap on cgroup v1 (a session, the whole contract),
 * and rootless on cgroup v1, which enforces no limits (a session, with those accepted). Podman 4.3 and 5.4: no session starts
 * (`unsupported-engine.ts`). Not tried: userns-remap on cgroup v2, Docker Desktop, SELinux, gVisor, arm64, Docker 27 and later,
 * Ubuntu's restriction of user namespaces.
 */
const TESTED: readonly EngineTraits[] = [
  { engine: "Docker 20.10", ...RIG },
  { engine: "Docker 26.1", ...RIG },
];

/** Returns product and version, as the engine reports them. */
export function engineName(info: EngineInfo): string {
  const { ServerVersion, OperatingSystem } = info;
  const product = isPodman(info) ? "Podman" : OperatingSystem === "Docker Desktop" ? OperatingSystem : "Docker";
  return `${product} ${ServerVersion ?? "of unknown version"}`;
}

/** Returns whether the engine is Podman's service, which speaks Docker's API. */
export function isPodman({ BuildahVersion }: EngineInfo): boolean {
  return BuildahVersion !== undefined;
}

/** Returns a sentence on an engine that is none of the tested ones. Undefined: it is one. */
export function untestedEngine(info: EngineInfo): string | undefined {
  const found = describe(traitsOf(info));
  const tested = TESTED.map(describe);
  if (tested.includes(found)) return undefined;
  return `This engine is not among the tested ones: ${found}. Tested: ${tested.join("; ")}.`;
}

function traitsOf(info: EngineInfo): EngineTraits {
  const { CgroupVersion, CgroupDriver, Driver, DefaultRuntime, Architecture, SecurityOptions } = info;
  return {
    engine: engineName(info).replace(/(\d+\.\d+).*$/, "$1"),
    // Podman writes v2, Docker 2.
    cgroups: CgroupVersion ? `cgroup v${CgroupVersion.replace(/^v/, "")} (${CgroupDriver})` : "unknown cgroup version",
    storage: Driver ?? "unknown storage driver",
    runtime: DefaultRuntime ?? "unknown runtime",
    architecture: Architecture ?? "unknown architecture",
    modes: modesIn(SecurityOptions ?? []),
  };
}

/** Of "name=seccomp,profile=builtin" and the like; every container brings its own profile, and v2 its namespace. */
function modesIn(securityOptions: string[]): string[] {
  const names = securityOptions.map((option) => /(?:^|,)name=([^,]*)/.exec(option)?.[1] ?? option);
  return names.filter((name) => name !== "seccomp" && name !== "cgroupns").sort();
}

function describe({ engine, cgroups, storage, runtime, architecture, modes }: EngineTraits): string {
  return [engine, cgroups, storage, runtime, architecture, ...modes].join(", ");
}
