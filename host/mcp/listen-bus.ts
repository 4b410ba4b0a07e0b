import { AsyncLocalStorage } from "node:async_hooks";
import type { McpHttpHandler, ServerEvent, ServerEventBus } from "@modelcontextprotocol/server";
import type { Sessions } from "../session/sessions.ts";
import { ResourceUpdates } from "./resource-updates.ts";

/** Bus of what clients over HTTP listen to: to each stream the changes of the resources that its request names. */
export class ListenBus implements ServerEventBus {
  readonly #sessions: Pick<Sessions, "get" | "watch">;
  /** What the request that is being served names: the SDK keeps it to itself. */
  readonly #named = new AsyncLocalStorage<readonly string[]>();

  constructor(sessions: Pick<Sessions, "get" | "watch">) {
    this.#sessions = sessions;
  }

  /** Returns a handler like `fetch` whose streams are told by this bus. */
  serving(fetch: McpHttpHandler["fetch"]): McpHttpHandler["fetch"] {
    return async (request, options) => this.#named.run(await readUris(request), () => fetch(request, options));
  }

  publish(): void {
    // A server is made for each request: what one of them tells of concerns nobody else.
  }

  subscribe(listener: (event: ServerEvent) => void): () => void {
    const updates = new ResourceUpdates(this.#sessions, (uri) => listener({ kind: "resource_updated", uri }));
    // With too many of them it is told of none, as a client that reads again by itself can bear.
    updates.begin("all", this.#named.getStore() ?? []).catch(() => {});
    return () => updates[Symbol.dispose]();
  }
}

async function readUris(request: Request): Promise<readonly string[]> {
  if (request.headers.get("mcp-method") !== "subscriptions/listen") return [];
  const message = (await request
    .clone()
    .json()
    .catch(() => undefined)) as { params?: { notifications?: { resourceSubscriptions?: unknown } } } | undefined;
  const uris = message?.params?.notifications?.resourceSubscriptions;
  return Array.isArray(uris) ? uris.map(String) : [];
}
