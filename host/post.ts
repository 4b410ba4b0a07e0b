import type { OutgoingHttpHeaders } from "node:http";
import type { WayOut } from "./broker/way-out.ts";

/** Way to who is posted to. */
export interface PostOptions {
  wayOut: WayOut;
  /** Further headers. Default: none. */
  headers?: OutgoingHttpHeaders | undefined;
  signal: AbortSignal;
}

/** Answer that a post was not taken. */
export class NotTaken extends Error {
  /** HTTP status of the answer. */
  readonly status: number;

  constructor(host: string, status: number) {
    super(`${host} answered ${status}`);
    this.status = status;
  }
}

/**
 * Posts JSON. Resolves once it was taken. The URL may hold a secret: no error names more than its host. A redirect is a
 * failure. Throws NotTaken for an answer that says so.
 */
export async function postJson(url: URL, body: string | Uint8Array, { wayOut, headers, signal }: PostOptions) {
  const agents = wayOut.createAgents({ keepAlive: false });
  const own = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  const request = wayOut.request(url, { method: "POST", headers: { ...headers, ...own }, signal }, agents);
  const status = await new Promise<number>((resolve, reject) => {
    request.once("response", (response) => {
      response.destroy();
      resolve(response.statusCode ?? 0);
    });
    request.on("error", () => reject(new Error(`${url.host} was not reached`)));
    request.end(body);
  });
  if (status < 200 || status > 299) throw new NotTaken(url.host, status);
}
