import { AppError } from "../../../proto/index.ts";
import { gibibytes } from "../../gibibytes.ts";
import type { RuntimeCapacity, RuntimeHealth } from "../runtime.ts";
import { engineError } from "./engine-error.ts";
import { LIMITS, limitsNotEnforced, missingLimits, weaknesses } from "./engine-limits.ts";
import type { Engine, EngineInfo } from "./engine.ts";
import { engineName, untestedEngine } from "./tested-engines.ts";
import { unsupportedEngine } from "./unsupported-engine.ts";

const CHECK_MS = 5_000;

/** Checks that the engine answers and can do what is needed. Takes at most 5 s. Does not throw. */
export async function checkEngine(
  engine: Engine,
  { signal, allowWeakLimits }: { signal: AbortSignal; allowWeakLimits: boolean },
): Promise<RuntimeHealth> {
  const timeout = AbortSignal.timeout(CHECK_MS);
  try {
    const info = await engine.info({ signal: AbortSignal.any([signal, timeout]) });
    return healthOf(info, allowWeakLimits);
  } catch (error) {
    const what = "The Docker engine does not work";
    return unhealthy(timeout.aborted ? tooSlow() : engineError(error, { reason: "RUNTIME_UNAVAILABLE", what }));
  }
}

function healthOf(info: EngineInfo, allowWeakLimits: boolean): RuntimeHealth {
  const { OSType = "linux", Architecture = "" } = info;
  if (OSType !== "linux") return unhealthy(wrongSystem(OSType));
  const unsupported = unsupportedEngine(info);
  if (unsupported !== undefined) return unhealthy(unsupported);
  const missing = missingLimits(info);
  if (missing.length > 0 && !allowWeakLimits) return unhealthy(limitsNotEnforced(missing));
  const platform = Architecture === "" ? OSType : `${OSType}/${Architecture}`;
  const capacity = engineCapacity(info);
  const description = [`${engineName(info)} (${platform})`, ...describe(capacity)].join(", ");
  return {
    healthy: true,
    description,
    warnings: engineWarnings(info),
    capacity,
    networkSeal: "noInterface",
    enforcedLimits: LIMITS.filter((limit) => !missing.includes(limit)),
  };
}

/** What containers may share, as the engine says it; what it does not say is left out. */
function engineCapacity({ NCPU, MemTotal }: EngineInfo): RuntimeCapacity {
  return {
    ...(NCPU !== undefined && NCPU > 0 && { cpuCount: NCPU }),
    ...(MemTotal !== undefined && MemTotal > 0 && { memoryBytes: MemTotal }),
  };
}

function describe({ cpuCount, memoryBytes }: RuntimeCapacity): string[] {
  return [
    ...(cpuCount === undefined ? [] : [`${cpuCount} CPU${cpuCount === 1 ? "" : "s"}`]),
    ...(memoryBytes === undefined ? [] : [`${gibibytes(memoryBytes)} of memory`]),
  ];
}

/** Returns sentences on what users of the engine should know and what does not stop containers. */
export function engineWarnings(info: EngineInfo): string[] {
  return [...weaknesses(info), ...[untestedEngine(info)].filter((warning) => warning !== undefined)];
}

function unhealthy({ reason, message, help }: AppError): RuntimeHealth {
  return { healthy: false, reason, message, help };
}

function tooSlow(): AppError {
  return new AppError("RUNTIME_UNAVAILABLE", `The Docker engine did not answer within ${CHECK_MS / 1000} s.`, {
    help: "Look whether `docker info` answers; a restart of the engine may help.",
  });
}

function wrongSystem(system: string): AppError {
  return new AppError("RUNTIME_UNAVAILABLE", `The Docker engine runs ${system} containers; ours need linux.`, {
    help: "Switch Docker Desktop to Linux containers.",
  });
}
