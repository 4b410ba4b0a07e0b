import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { DirectoryService, HostService, SessionService } from "../../proto/control.ts";
import { storedKey } from "./sign-in.ts";

/** Told once a call was refused for want of a sign-in. */
export const signedOut = new EventTarget();

/** Every call shows the key; the browser adds the cookie. */
const showKey: Interceptor = (next) => async (request) => {
  const key = storedKey();
  if (key !== undefined) request.header.set("x-claudecluster-key", key);
  try {
    return await next(request);
  } catch (error) {
    if (ConnectError.from(error).code === Code.Unauthenticated) signedOut.dispatchEvent(new Event("signed-out"));
    throw error;
  }
};

const transport = createConnectTransport({
  baseUrl: location.origin,
  useBinaryFormat: true,
  interceptors: [showKey],
});

/** Client of the host's sessions. */
export const sessionService = createClient(SessionService, transport);
/** Client of the host itself. */
export const hostService = createClient(HostService, transport);
/** Client of what is done with directories of the host's machine. */
export const directoryService = createClient(DirectoryService, transport);
