import { isAddressed } from "../address.ts";
import type { AnyRequest } from "../control/any-http-server.ts";

/** Answer to a request that is not served. */
export interface Refusal {
  status: number;
  text: string;
}

/** As the Connect protocol names its messages; none of them can be sent by a form, or by a page of another origin unasked. */
const CONNECT_TYPES = /^application\/(?:connect\+)?(?:proto|json)$/;

/** Checks that a request is made to this server under an address, or as localhost. */
export function refuseHost({ headers }: AnyRequest): Refusal | undefined {
  if (isAddressed(headers.host ?? "")) return undefined;
  return { status: 403, text: "Use the address that claudecluster ui says." };
}

/** Checks that a call is made by our own page, whatever cookie comes with it. */
export function refuseCall({ method, headers }: AnyRequest): Refusal | undefined {
  if (method !== "POST") return { status: 405, text: "Calls are made by POST." };
  if (headers.origin !== `http://${headers.host ?? ""}`) return { status: 403, text: "Only its own page is answered." };
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin") return { status: 403, text: "Only its own page is answered." };
  if (!CONNECT_TYPES.test(headers["content-type"] ?? "")) return { status: 415, text: "Speak the Connect protocol." };
  return undefined;
}
