import { ConnectError } from "@connectrpc/connect";
import { AppError, ErrorInfoSchema, kindOfCode } from "../../proto/index.ts";

/** Returns the AppError that the other end of a call has sent. Undefined: it has sent none. */
export function carriedError(error: unknown): AppError | undefined {
  if (!(error instanceof ConnectError)) return undefined;
  const [info] = error.findDetails(ErrorInfoSchema);
  if (info === undefined) return undefined;
  return AppError.received({
    reason: info.reason,
    message: error.rawMessage,
    kind: kindOfCode(error.code),
    metadata: info.metadata,
    retryable: info.retryable,
    help: info.help,
    cause: error,
  });
}
