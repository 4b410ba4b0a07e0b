import { AppError } from "../../proto/index.ts";
import type { HostConfig } from "../config/config.ts";
import { readHostConfig } from "../daemon/host-config.ts";
import { readDirectories } from "../directories.ts";
import { asExplainedError } from "../file-problem.ts";
import { createLogger } from "../logger.ts";
import { hostLink } from "./command-context.ts";
import type { CommandIo } from "./command-io.ts";
import { doctorCommand } from "./doctor.ts";

/** What the runtime is looked at with where the configuration cannot be read. */
const UNCONFIGURED = { logLevel: "warn", allowWeakLimits: false, defaultImage: undefined };

/** Looks at the surroundings that the environment says, also where it says nothing usable. */
export async function diagnoseCommand({ json }: { json: boolean }, io: CommandIo): Promise<number> {
  const directories = readOrProblem(() => readDirectories(io.env));
  if (directories instanceof AppError) return await diagnose(directories, directories, { json }, io);
  using link = await hostLink(io);
  return await diagnose(
    { directories, link },
    readOrProblem(() => readHostConfig(io.env)),
    { json },
    io,
  );
}

async function diagnose(
  place: Parameters<typeof doctorCommand>[0]["place"],
  config: HostConfig | AppError,
  output: { json: boolean },
  io: CommandIo,
): Promise<number> {
  const { logLevel, allowWeakLimits, defaultImage } = config instanceof AppError ? UNCONFIGURED : config;
  /** As a host would, where none can be asked. It makes no container, and needs no name for its own. */
  const checkRuntimeHere = async ({ signal }: { signal: AbortSignal }) => {
    const { createRuntime } = await import("../app.ts");
    const { checkRuntime } = await import("../control/check-runtime.ts");
    await using runtime = createRuntime({ hostId: undefined, allowWeakLimits }, createLogger(logLevel));
    return await checkRuntime(runtime, { image: defaultImage, signal });
  };
  return await doctorCommand({ place, config, checkRuntime: checkRuntimeHere }, output, io);
}

function readOrProblem<T>(read: () => T): T | AppError {
  try {
    return read();
  } catch (error) {
    return asExplainedError(error);
  }
}
