import type { PageServer, PageServerOptions } from "./page-server.ts";

/** Page of a host. It is served from the first time that somebody opens it. */
export class Page implements AsyncDisposable {
  readonly #options: PageServerOptions;
  #server: Promise<PageServer> | undefined;
  #inUse = () => false;

  constructor(options: PageServerOptions) {
    this.#options = options;
  }

  /** Whether a browser looks at it. */
  get inUse(): boolean {
    return this.#inUse();
  }

  /** Returns an address that lets one browser in, for a minute. Throws PAGE_MISSING, LISTEN_FAILED. */
  async open(): Promise<string> {
    this.#server ??= this.#start();
    const server = await this.#server.catch((error: unknown) => {
      this.#server = undefined;
      throw error;
    });
    return server.makeUrl();
  }

  /** Serves it no more, and signs out every browser. */
  async close(): Promise<void> {
    const server = await this.#server?.catch(() => undefined);
    this.#server = undefined;
    this.#inUse = () => false;
    await server?.[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(): Promise<PageServer> {
    const { PageServer: Server } = await import("./page-server.ts");
    const server = await Server.start(this.#options);
    this.#inUse = () => server.inUse;
    return server;
  }
}
