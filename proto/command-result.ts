import { durationMs } from "@bufbuild/protobuf/wkt";
import type { CommandResult } from "./gen/claudecluster/session/v1alpha1/session_result_pb.ts";

/** Whether a setup or a check went well. */
export function hasPassed({ exitCode, timedOut }: CommandResult): boolean {
  return exitCode === 0 && !timedOut;
}

/** Returns how a command ended, in words that follow "it ended". */
export function describeCommandEnd({ exitCode, signal, timedOut, elapsed }: CommandResult): string {
  if (timedOut)
    return `after ${elapsed === undefined ? "its" : Math.round(durationMs(elapsed) / 1000)} s, which is its time`;
  return exitCode === undefined ? `by ${signal === "" ? "a signal" : signal}` : `with exit code ${exitCode}`;
}
