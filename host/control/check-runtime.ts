import { existsSync } from "node:fs";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type CheckRuntimeResponse,
  CheckRuntimeResponseSchema,
  RuntimeFacts_EnforcedLimit as Limit,
  RuntimeFacts_NetworkSeal as Seal,
} from "../../proto/control.ts";
import { AppError, asAppError } from "../../proto/index.ts";
import { BUILD_SCRIPT } from "../containers/build-image.ts";
import { buildCommand, isOwnImage } from "../containers/own-image.ts";
import type { EnforcedLimit, NetworkSeal, Runtime } from "../runtime/runtime.ts";

const SEALS: Record<NetworkSeal, Seal> = { noInterface: Seal.NO_INTERFACE, policy: Seal.POLICY };
const LIMITS: Record<EnforcedLimit, Limit> = {
  memory: Limit.MEMORY,
  CPU: Limit.CPU,
  processes: Limit.PROCESSES,
  "system calls": Limit.SYSTEM_CALLS,
};

type CheckedImage = NonNullable<MessageInitShape<typeof CheckRuntimeResponseSchema>["image"]>;

/** Checks a runtime and an image, for the control API. Without an image it checks the runtime alone. Does not throw. */
export async function checkRuntime(
  runtime: Pick<Runtime, "check" | "inspectImage">,
  { image, signal }: { image: string | undefined; signal: AbortSignal },
): Promise<CheckRuntimeResponse> {
  const health = await runtime.check({ signal });
  if (!health.healthy) {
    const { reason, message, help } = health;
    return create(CheckRuntimeResponseSchema, { health: { case: "unhealthy", value: { reason, message, help } } });
  }
  const { description, warnings, capacity, networkSeal, enforcedLimits } = health;
  const { cpuCount, memoryBytes } = capacity;
  const value = {
    description,
    warnings,
    ...(cpuCount !== undefined && { cpuCount }),
    ...(memoryBytes !== undefined && { memoryBytes: BigInt(memoryBytes) }),
    networkSeal: SEALS[networkSeal],
    enforcedLimits: enforcedLimits.map((limit) => LIMITS[limit]),
  };
  return create(CheckRuntimeResponseSchema, {
    health: { case: "healthy", value },
    ...(image !== undefined && { image: await checkImage(runtime, image, signal) }),
  });
}

async function checkImage(
  runtime: Pick<Runtime, "inspectImage">,
  name: string,
  signal: AbortSignal,
): Promise<CheckedImage> {
  try {
    const facts = await runtime.inspectImage(name, { signal });
    if (facts === undefined) {
      if (!isOwnImage(name) || !existsSync(BUILD_SCRIPT))
        throw new AppError("IMAGE_NOT_FOUND", `${name} is not there.`, { help: `Build it: ${buildCommand(name)}` });
      throw new AppError("IMAGE_NOT_BUILT", `${name} is not there; the first session builds it, in some minutes.`, {
        help: `Ahead of it: ${buildCommand(name)}`,
      });
    }
    const { createTimeMs, labels } = facts;
    return { case: "foundImage", value: { name, createTime: timestampFromMs(createTimeMs), labels } };
  } catch (error) {
    const { reason, message, help } = asAppError(error);
    return { case: "imageProblem", value: { reason, message, help } };
  }
}
