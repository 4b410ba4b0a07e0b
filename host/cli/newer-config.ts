import { statSync } from "node:fs";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { GetHostInfoResponse } from "../../proto/control.ts";
import { configFilePath } from "../config/config-file.ts";

/** What to do where config.json was written after the host that runs had read it. Undefined: nothing. */
export function newerConfig(
  { startTime }: Pick<GetHostInfoResponse, "startTime">,
  configDirectory: string,
): string | undefined {
  const path = configFilePath(configDirectory);
  const writtenMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  if (startTime === undefined || writtenMs === undefined || writtenMs <= timestampMs(startTime)) return undefined;
  return `${path} is newer than the host, which uses nothing new of it but the credential. Restart: claudecluster shutdown`;
}
