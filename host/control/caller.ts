import { type ContextValues, createContextKey, createContextValues, type Interceptor } from "@connectrpc/connect";
import { AppError } from "../../proto/index.ts";
import { showsToken } from "../bearer-token.ts";

/** Who calls, by the way they come in. */
export interface Caller {
  /** Came through the host's private socket: the user who owns the host. */
  local: boolean;
  /** May call at all. */
  authorized: boolean;
}

const callerKey = createContextKey<Caller>({ local: false, authorized: false });

/** The context of a caller on the private socket: the file system has let nobody else in. */
export function localCaller(): ContextValues {
  return createContextValues().set(callerKey, { local: true, authorized: true });
}

/** The context of a caller on TCP, who has to show the token. */
export function remoteCaller(authorization: string | undefined, token: string): ContextValues {
  const authorized = showsToken(authorization, token);
  return createContextValues().set(callerKey, { local: false, authorized });
}

/** Who makes the call. */
export function callerOf(values: ContextValues): Caller {
  return values.get(callerKey);
}

/** Refuses every call, of whatever service, of a caller that may not call. */
export const requireAuthorization: Interceptor = (next) => async (request) => {
  if (callerOf(request.contextValues).authorized) return next(request);
  throw tokenInvalid();
};

/** The error of a caller on TCP who has not shown the token. */
export function tokenInvalid(): AppError {
  return new AppError("TOKEN_INVALID", "The call does not carry this host's token.", {
    help: 'Send the header "authorization: Bearer <token>".',
  });
}
