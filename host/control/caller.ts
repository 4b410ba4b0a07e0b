import { type ContextValues, createContextKey, createContextValues, type Interceptor } from "@connectrpc/connect";
import { AppError } from "../../proto/index.ts";
import { showsToken } from "../bearer-token.ts";

/** Caller of the control API, by the way it comes in. */
export interface Caller {
  /** Whether it came through the host's private socket. It is the user who owns the host then. */
  local: boolean;
  /** Whether it may call at all. */
  authorized: boolean;
}

const callerKey = createContextKey<Caller>({ local: false, authorized: false });

/** Returns the context of a caller on the private socket. The file system lets nobody else in. */
export function localCaller(): ContextValues {
  return createContextValues().set(callerKey, { local: true, authorized: true });
}

/** Returns the context of a caller on TCP, who has to show the token. */
export function remoteCaller(authorization: string | undefined, token: string): ContextValues {
  const authorized = showsToken(authorization, token);
  return createContextValues().set(callerKey, { local: false, authorized });
}

/** Returns who makes the call. */
export function callerOf(values: ContextValues): Caller {
  return values.get(callerKey);
}

/** Interceptor that refuses every call, of any service, by a caller that may not call. */
export const requireAuthorization: Interceptor = (next) => async (request) => {
  if (callerOf(request.contextValues).authorized) return next(request);
  throw tokenInvalid();
};

/** Returns the error for a caller on TCP without the token. */
export function tokenInvalid(): AppError {
  return new AppError("TOKEN_INVALID", "The call does not carry this host's token.", {
    help: 'Send the header "authorization: Bearer <token>".',
  });
}
