import type { Readable, Writable } from "node:stream";
import {
  isJSONRPCNotification,
  SUBSCRIPTION_ID_META_KEY,
  type SubscriptionsAcknowledgedNotification,
} from "@modelcontextprotocol/server";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import type { ResourceUpdates } from "./resource-updates.ts";

/** Listeners of a pipe: `onAnswer` is called once the client has its first message, `onClose` when it has gone or was closed. */
interface PipeListeners {
  onAnswer(): void;
  onClose(): void;
}

/** Client's end of standard input and output. */
export class ClientPipe extends StdioServerTransport {
  readonly #listeners: PipeListeners;
  #answered = false;
  /** Gets what the client listens to, which the SDK keeps to itself. Undefined: nobody does. */
  updates: ResourceUpdates | undefined;

  constructor(
    { stdin, stdout }: { stdin: NodeJS.ReadableStream; stdout: NodeJS.WritableStream },
    listeners: PipeListeners,
  ) {
    super(stdin as Readable, stdout as Writable);
    this.#listeners = listeners;
  }

  override async start(): Promise<void> {
    const take = this.onmessage;
    this.onmessage = (message) => {
      if (isJSONRPCNotification(message) && message.method === "notifications/cancelled") {
        this.updates?.end(message.params?.requestId);
      }
      take?.(message);
    };
    await super.start();
  }

  override async send(...given: Parameters<StdioServerTransport["send"]>): Promise<void> {
    await super.send(...given);
    const [message] = given;
    if (isJSONRPCNotification(message) && message.method === "notifications/subscriptions/acknowledged") {
      const { notifications, _meta: meta } = message.params as SubscriptionsAcknowledgedNotification["params"];
      // With too many of them it is told of none, as a client that reads again by itself can bear.
      void this.updates
        ?.begin(meta?.[SUBSCRIPTION_ID_META_KEY], notifications.resourceSubscriptions ?? [])
        .catch(() => {});
    }
    if (this.#answered) return;
    this.#answered = true;
    this.#listeners.onAnswer();
  }

  // Not `onclose`, which the SDK sets; and not that of a server: the SDK closes one, and makes another, when a client
  // falls back to the older protocol.
  override async close(): Promise<void> {
    await super.close();
    this.#listeners.onClose();
  }
}
