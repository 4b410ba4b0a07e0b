import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type Server, type Socket, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hold } from "./runtime-harness.ts";

interface Rule {
  /** Of the request's first line, such as "POST /containers/create". */
  pattern: RegExp;
  side: "request" | "reply";
  /** Where it resolves the bytes go on; where it rejects, the connection is cut. */
  passing: Promise<void>;
  onMatch: () => void;
}

/**
 * Stands between a runtime and the Docker engine, to be slow, to lose answers and to break
 * connections. Every connection of the runtime carries one request.
 */
export class EngineProxy implements AsyncDisposable {
  readonly path: string;
  readonly #server: Server;
  readonly #rules = new Set<Rule>();
  readonly #open = new Map<Socket, string>();
  #held = 0;

  private constructor(path: string, enginePath: string) {
    this.path = path;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
      void this.#serve(client, enginePath).catch(() => client.destroy());
    });
  }

  static async open(enginePath: string): Promise<EngineProxy> {
    const proxy = new EngineProxy(join(await mkdtemp(join(tmpdir(), "engine-proxy-")), "engine.sock"), enginePath);
    proxy.#server.listen(proxy.path);
    await once(proxy.#server, "listening");
    return proxy;
  }

  /** How many connections are being held. */
  get held(): number {
    return this.#held;
  }

  /** Holds matching requests before the engine sees them, or its replies. */
  hold(side: Rule["side"], pattern: RegExp): Hold {
    const { promise: passing, resolve: release } = Promise.withResolvers<undefined>();
    const { promise: matched, resolve: onMatch } = Promise.withResolvers<undefined>();
    const rule: Rule = { pattern, side, passing: passing.then(() => {}), onMatch: () => onMatch(undefined) };
    this.#rules.add(rule);
    return {
      matched: matched.then(() => {}),
      release: () => {
        this.#rules.delete(rule);
        release(undefined);
      },
    };
  }

  /** Breaks the connection of the next matching request when the engine answers it. */
  loseReply(pattern: RegExp): void {
    const rule: Rule = {
      pattern,
      side: "reply",
      passing: Promise.reject(new Error("lost")),
      onMatch: () => this.#rules.delete(rule),
    };
    rule.passing.catch(() => {});
    this.#rules.add(rule);
  }

  /** Breaks open connections; says how many. */
  cut(pattern: RegExp): number {
    const matching = [...this.#open].filter(([, request]) => pattern.test(request));
    for (const [client] of matching) client.destroy();
    return matching.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#open.keys()) client.destroy();
    this.#server.close();
    await once(this.#server, "close");
    await rm(join(this.path, ".."), { recursive: true, force: true });
  }

  async #serve(client: Socket, enginePath: string): Promise<void> {
    this.#open.set(client, "");
    client.on("error", () => {});
    client.once("close", () => this.#open.delete(client));
    client.resume();
    const [head] = (await once(client, "data")) as [Buffer];
    client.pause();
    const request = head.toString("latin1").split(" HTTP/")[0] ?? "";
    this.#open.set(client, request);
    await this.#pass("request", request);
    const engine = connect({ path: enginePath, allowHalfOpen: true });
    engine.on("error", () => client.destroy());
    engine.once("close", () => client.destroySoon());
    client.once("close", () => engine.destroy());
    if (client.destroyed) engine.destroy();
    engine.write(head);
    client.pipe(engine);
    if ([...this.#rules].some((rule) => rule.side === "reply" && rule.pattern.test(request))) {
      await once(engine, "readable");
      await this.#pass("reply", request);
    }
    engine.pipe(client);
  }

  async #pass(side: Rule["side"], request: string): Promise<void> {
    for (const rule of this.#rules) {
      if (rule.side !== side || !rule.pattern.test(request)) continue;
      rule.onMatch();
      this.#held++;
      await rule.passing.finally(() => this.#held--);
    }
  }
}
