import { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../../proto/index.ts";

/** Returns what a failed call says: what went wrong, and what to do. */
export function problemOf(error: unknown): string {
  const known = ConnectError.from(error);
  const [info] = known.findDetails(ErrorInfoSchema);
  if (info === undefined) return `The host did not answer: ${known.rawMessage}.`;
  return info.help === "" ? known.rawMessage : `${known.rawMessage} ${info.help}`;
}
