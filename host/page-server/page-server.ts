import type { ContextValues } from "@connectrpc/connect";
import type { Logger } from "pino";
import { isLoopback } from "../address.ts";
import type { Audit } from "../callers/audit.ts";
import { type AnyRequest, type AnyResponse, AnyHttpServer } from "../control/any-http-server.ts";
import { pageCaller } from "../control/caller.ts";
import { refuseCall, refuseHost, type Refusal } from "./check-request.ts";
import { type PageFile, readPage } from "./page-files.ts";
import { mayBeOurs } from "./peer-user.ts";
import { readCode } from "./read-code.ts";
import { setSecurityHeaders } from "./security-headers.ts";
import { type SignIn, SignIns } from "./sign-ins.ts";

/** What serves calls of the control API, whoever makes them. */
export interface CallServer {
  serve(request: AnyRequest, response: AnyResponse, caller: ContextValues): void;
}

/** Address of the page, and what its calls go to. */
export interface PageServerOptions {
  address: { hostname: string; port: number };
  calls: CallServer;
  /** Record of those who are refused. Default: none. */
  audit?: Audit;
  logger: Logger;
}

/** Beginning of the paths of all calls that the page makes. */
const CALLS = "/claudecluster.control.v1alpha1.";
const SIGN_IN = "/sign-in";
/** Header with the key that the page got beside its cookie: cookies are sent to every port, what a page keeps is not. */
const KEY_HEADER = "x-claudecluster-key";
/** A code is far shorter. */
const MAX_CODE_BYTES = 256;
const REFUSED: Refusal = { status: 401, text: "Not signed in: claudecluster ui." };

/**
 * Server of the page: its files for everybody who can connect, and the control API for browsers that have swapped a code for
 * a cookie and a key. Closing it signs them out and cuts their calls.
 */
export class PageServer implements AsyncDisposable {
  readonly #server: AnyHttpServer;
  readonly #signIns = new SignIns();
  readonly #files: ReadonlyMap<string, PageFile>;
  readonly #options: PageServerOptions;
  #port = 0;

  private constructor(options: PageServerOptions) {
    this.#options = options;
    this.#files = readPage();
    this.#server = new AnyHttpServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        options.logger.debug({ err: error }, "request of the page broke off");
        response.destroy();
      });
    });
  }

  /** Reads the page and listens. Throws PAGE_MISSING, LISTEN_FAILED. */
  static async start(options: PageServerOptions): Promise<PageServer> {
    const page = new PageServer(options);
    const { hostname: host, port } = options.address;
    page.#port = await page.#server.listen({ host, port });
    return page;
  }

  /** Whether a browser that is signed in has a call under way. */
  get inUse(): boolean {
    return this.#signIns.inUse;
  }

  /** Returns an address that lets one browser in. What stands behind # is sent to nobody, and the page takes it away. */
  makeUrl(): string {
    const { hostname } = this.#options.address;
    const any = hostname === "0.0.0.0" ? "127.0.0.1" : hostname === "::" ? "::1" : hostname;
    return `http://${any.includes(":") ? `[${any}]` : any}:${this.#port}/#code=${this.#signIns.makeCode()}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close({ graceMs: 0 });
  }

  async #handle(request: AnyRequest, response: AnyResponse): Promise<void> {
    setSecurityHeaders(response);
    const refusal = refuseHost(request);
    if (refusal !== undefined) return refuse(response, refusal);
    const path = (request.url ?? "").split("?", 1)[0]!;
    if (path.startsWith(CALLS)) this.#serveCall(request, response);
    else if (path === SIGN_IN) await this.#signIn(request, response);
    else this.#serveFile(path, request, response);
  }

  #serveFile(path: string, { method }: AnyRequest, response: AnyResponse): void {
    const file = this.#files.get(path);
    if (file === undefined) return refuse(response, { status: 404, text: "There is no such file." });
    if (method !== "GET" && method !== "HEAD") return refuse(response, { status: 405, text: "Files are read by GET." });
    response.setHeader("content-type", file.type);
    response.end(method === "HEAD" ? "" : file.content);
  }

  async #signIn(request: AnyRequest, response: AnyResponse): Promise<void> {
    const refusal = refuseCall(request);
    if (refusal !== undefined) return refuse(response, refusal);
    if (!(Number(request.headers["content-length"]) <= MAX_CODE_BYTES)) return refuse(response, REFUSED);
    if (!(await mayBeOurs(request.socket))) return refuse(response, OTHER_USER);
    const proof = this.#signIns.signIn(await readCode(request));
    if (proof === undefined) return this.#refuseStranger(response, "sign-in");
    response.setHeader("set-cookie", `${this.#cookieName}=${proof.cookie}; HttpOnly; SameSite=Strict; Path=/`);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ key: proof.key }));
  }

  #serveCall(request: AnyRequest, response: AnyResponse): void {
    const refusal = refuseCall(request);
    if (refusal !== undefined) return refuse(response, refusal);
    const signIn = this.#whoCalls(request);
    // Nothing of it is read.
    if (signIn === undefined) return this.#refuseStranger(response, "call");
    response.once("close", signIn.begin());
    const here = isLoopback(request.socket.remoteAddress ?? "");
    this.#options.calls.serve(request, response, pageCaller({ here }));
  }

  #refuseStranger(response: AnyResponse, method: string): void {
    this.#options.audit?.refused({ way: "page", method });
    refuse(response, REFUSED);
  }

  #whoCalls({ headers }: AnyRequest): SignIn | undefined {
    const start = `${this.#cookieName}=`;
    const cookies = (headers.cookie ?? "").split("; ").filter((one) => one.startsWith(start));
    const key = headers[KEY_HEADER];
    // Two of one name: one of them is somebody else's.
    if (cookies.length !== 1 || typeof key !== "string") return undefined;
    return this.#signIns.find({ cookie: cookies[0]!.slice(start.length), key });
  }

  /** Hosts of this machine have the browser's cookies in common, by port they do not take each other's. */
  get #cookieName(): string {
    return `claudecluster-${this.#port}`;
  }
}

const OTHER_USER: Refusal = { status: 403, text: "This browser is not known to be run by the host's user." };

function refuse(response: AnyResponse, { status, text: reason }: Refusal): void {
  response.statusCode = status;
  response.setHeader("content-type", "text/plain; charset=utf-8");
  response.end(`${reason}\n`);
}
