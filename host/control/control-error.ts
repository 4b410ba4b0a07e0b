import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Logger } from "pino";
import { AppError, ErrorInfoSchema, GRPC_CODES } from "../../proto/index.ts";
import { carriedError } from "../rpc/carried-error.ts";

/** Who found the error, as ErrorInfo says it. */
const ERROR_DOMAIN = "host.claudecluster.dev";

/** Returns the error as it is sent: a gRPC status with one ErrorInfo. */
export function toConnectError(error: AppError): ConnectError {
  const details = [{ desc: ErrorInfoSchema, value: error.toErrorInfo(ERROR_DOMAIN) }];
  return new ConnectError(error.message.toWellFormed(), GRPC_CODES[error.kind], undefined, details, error);
}

/** Interceptor that sends AppErrors as they are, and everything else as INTERNAL, which is logged here. */
export function sendErrors(logger: Logger): Interceptor {
  const convert = (error: unknown, method: string): ConnectError => {
    if (error instanceof AppError) return toConnectError(error);
    // The library's own: a wrong message, a caller that has gone.
    if (error instanceof ConnectError) return error;
    logger.error({ err: error, method }, "call failed");
    return toConnectError(new AppError("INTERNAL", "The host failed to handle the call; its log says more."));
  };
  async function* convertAll<T>(messages: AsyncIterable<T>, method: string): AsyncGenerator<T> {
    try {
      yield* messages;
    } catch (error) {
      throw convert(error, method);
    }
  }
  return (next) => async (request) => {
    const method = request.method.name;
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: convertAll(response.message, method) } : response;
    } catch (error) {
      throw convert(error, method);
    }
  };
}

/**
 * Returns the host's answer as an AppError. CONNECTION_LOST (retryable) is for no answer, HOST_OUTDATED for a call that
 * the host does not know, HOST_UNRESPONSIVE for an answer that is late.
 */
export function hostError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const carried = carriedError(error);
  if (carried !== undefined) return carried;
  if (error instanceof ConnectError && error.code === Code.Unimplemented) {
    return new AppError("HOST_OUTDATED", "The running host is too old for this call.", {
      help: "End it once its sessions are done: claudecluster shutdown. The next command starts the installed version.",
      cause: error,
    });
  }
  if (error instanceof ConnectError && error.code === Code.DeadlineExceeded) {
    return new AppError("HOST_UNRESPONSIVE", "A host is running, but it does not answer.", {
      retryable: true,
      help: "Look at its log (host.log in the state directory), or end its process.",
      cause: error,
    });
  }
  return new AppError("CONNECTION_LOST", "The connection to the host is lost.", {
    retryable: true,
    cause: error,
  });
}
