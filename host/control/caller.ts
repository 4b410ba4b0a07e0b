import { type ContextValues, createContextKey, createContextValues, type Interceptor } from "@connectrpc/connect";
import { AppError } from "../../proto/index.ts";
import type { RemoteCaller } from "../callers/callers.ts";

/** Caller of the control API, by the way it comes in. */
export interface Caller {
  /** Whether it came through the host's private socket, or is the page on loopback. It is the user who owns the host then. */
  local: boolean;
  /** Whether it may call at all. */
  authorized: boolean;
  /** Who it is, if it comes from elsewhere and may call. */
  remote?: RemoteCaller;
  /** Whether it is the host's page. It acts for the user, but neither lets others in nor ends the host. Default: false. */
  page?: boolean;
}

const callerKey = createContextKey<Caller>({ local: false, authorized: false });

/** Returns the context of a caller on the private socket. The file system lets nobody else in. */
export function localCaller(): ContextValues {
  return createContextValues().set(callerKey, { local: true, authorized: true });
}

/** Returns the context of the host's page, in a browser that the user has let in: here, on this machine, or elsewhere. */
export function pageCaller({ here }: { here: boolean }): ContextValues {
  return createContextValues().set(callerKey, { local: here, authorized: true, page: true });
}

/** Returns the context of a caller on TCP, who has to show a token. Undefined: it shows none that counts. */
export function remoteCaller(remote: RemoteCaller | undefined): ContextValues {
  const authorized = remote !== undefined;
  return createContextValues().set(callerKey, { local: false, authorized, ...(authorized && { remote }) });
}

/** Returns who makes the call. */
export function callerOf(values: ContextValues): Caller {
  return values.get(callerKey);
}

/** Checks that a call comes in through the host's private socket, from the user's own programs. Throws CALLER_REMOTE. */
export function requireSocket(values: ContextValues, what: string): void {
  const { local, page = false } = callerOf(values);
  if (local && !page) return;
  throw new AppError("CALLER_REMOTE", `Only callers on the host's private socket may ${what}.`);
}

/** Interceptor that refuses every call, of any service, by a caller that may not call. */
export const requireAuthorization: Interceptor = (next) => async (request) => {
  if (callerOf(request.contextValues).authorized) return next(request);
  throw tokenInvalid();
};

/** Returns the error for a caller on TCP without a token that counts. */
export function tokenInvalid(): AppError {
  return new AppError("TOKEN_INVALID", "The call carries no token of this host's.", {
    help: 'Send the header "authorization: Bearer <token>". On the host: claudecluster token add <name>.',
  });
}

/** Throws CALLER_REMOTE unless the call is made by the host's own user, on the host's machine. */
export function requireOwnUser(values: ContextValues): void {
  if (callerOf(values).local) return;
  throw new AppError("CALLER_REMOTE", "Only the host's own user may use directories of its machine, and only there.", {
    help: "Call on the host's private socket, or open its page there, on loopback. From elsewhere: claudecluster run, apply, undo and compare where the directory is.",
  });
}
