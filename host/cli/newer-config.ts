import { statSync } from "node:fs";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { GetHostInfoResponse } from "../../proto/control.ts";
import { configFilePath } from "../config/config-file.ts";

/** Returns a sentence on what to do if config.json is newer than the running host. Undefined: it is not, or there is none. */
export function newerConfig(
  { startTime }: Pick<GetHostInfoResponse, "startTime">,
  configDirectory: string,
): string | undefined {
  const path = configFilePath(configDirectory);
  const writtenMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  if (startTime === undefined || writtenMs === undefined || writtenMs <= timestampMs(startTime)) return undefined;
  return `${path} is newer than the host, which uses nothing new of it but the credential. Restart: claudecluster shutdown`;
}
