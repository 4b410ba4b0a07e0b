import { AppError, type ContainerSpec, cutChars, type ErrorReason } from "../../proto/index.ts";
import { gibibytes } from "../gibibytes.ts";
import type { ContainerShape, RuntimeCapacity } from "../runtime/runtime.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** What a container gets when nobody says otherwise. */
const DEFAULT_MEMORY_BYTES = 2 * GIB;
const DEFAULT_CPU_COUNT = 2;
/** Claude Code alone needs about 160 MiB; below this nothing works. */
const MIN_MEMORY_BYTES = 256 * MIB;
const MAX_MEMORY_BYTES = 1024 * GIB;
const MIN_CPU_COUNT = 0.1;
const MAX_CPU_COUNT = 1024;

function invalid(reason: ErrorReason, message: string, help: string): AppError {
  return new AppError(reason, message, { kind: "INVALID_ARGUMENT", help });
}

/** Checks that the runtime's machine can ever give this shape, as far as is known. Throws an INVALID_ARGUMENT error. */
export function checkCapacity(shape: ContainerShape, { memoryBytes, cpuCount }: RuntimeCapacity): void {
  if (memoryBytes !== undefined && shape.memoryBytes > memoryBytes) {
    const [asked, there] = [gibibytes(shape.memoryBytes), gibibytes(memoryBytes)];
    throw invalid(
      "MEMORY_INVALID",
      `The memory limit is ${asked}, and the containers' machine has ${there}.`,
      "Use less; sessions share three quarters of it.",
    );
  }
  if (cpuCount !== undefined && shape.cpuCount > cpuCount && !shape.fewerCpusWillDo) {
    const message = `The CPU limit is ${shape.cpuCount}, and the containers' machine has ${cpuCount} CPUs.`;
    throw invalid("CPU_INVALID", message, "Use fewer.");
  }
}

/**
 * Returns the shape that is asked for, with its defaults filled in. Throws an INVALID_ARGUMENT error for limits that
 * cannot be meant.
 */
export function completeShape(spec: ContainerSpec, defaults: { image: string }): ContainerShape {
  const memoryBytes = spec.memoryBytes === 0n ? DEFAULT_MEMORY_BYTES : Number(spec.memoryBytes);
  if (!(memoryBytes >= MIN_MEMORY_BYTES && memoryBytes <= MAX_MEMORY_BYTES)) {
    throw invalid(
      "MEMORY_INVALID",
      `The memory limit is ${Math.round(memoryBytes / MIB)} MiB.`,
      "Use 256 MiB to 1 TiB.",
    );
  }
  // The runtime refuses more CPUs than it has; the default gives way, a wish does not.
  const fewerCpusWillDo = spec.cpuCount === undefined;
  const cpuCount = spec.cpuCount ?? DEFAULT_CPU_COUNT;
  if (!(cpuCount >= MIN_CPU_COUNT && cpuCount <= MAX_CPU_COUNT)) {
    throw invalid("CPU_INVALID", `The CPU limit is ${cpuCount}.`, "Use 0.1 or more.");
  }
  const workspaceSizeBytes =
    spec.workspaceSizeBytes === 0n ? Math.floor(memoryBytes / 2) : Number(spec.workspaceSizeBytes);
  if (!(workspaceSizeBytes >= MIB && workspaceSizeBytes <= memoryBytes)) {
    throw invalid(
      "WORKSPACE_SIZE_INVALID",
      `The workspace size is ${workspaceSizeBytes} bytes.`,
      "Use at most the memory limit, of which it is a part.",
    );
  }
  const image = spec.image === "" ? defaults.image : spec.image;
  // The grammar of an image reference, loosely; the engine knows the rest.
  if (!/^[a-z0-9][\w.:/@-]{0,254}$/i.test(image)) {
    throw invalid(
      "IMAGE_INVALID",
      `"${cutChars(image, 128)}" is not an image name.`,
      "Use a name such as claudecluster/agent:latest.",
    );
  }
  return { image, memoryBytes, cpuCount, fewerCpusWillDo, workspaceSizeBytes };
}
