import { toBinary } from "@bufbuild/protobuf";
import { setTimeout as delay } from "node:timers/promises";
import { AgentConnection } from "../../host/agent-client/agent-connection.ts";
import type { Container } from "../../host/runtime/runtime.ts";
import { type SessionEvent, SessionEventSchema } from "../../proto/index.ts";

/** What an agent emitted, by its own numbers, as seen by somebody who is not the host. */
export interface Observer extends AsyncDisposable {
  readonly events: ReadonlyMap<number, SessionEvent>;
}

/** Watches an agent past the host until disposed of; a lost connection is dialled again. */
export function observeAgent(container: Container): Observer {
  const events = new Map<number, SessionEvent>();
  const over = new AbortController();
  const watching = watch(container, events, over.signal);
  return {
    events,
    async [Symbol.asyncDispose]() {
      over.abort();
      await watching;
    },
  };
}

async function watch(container: Container, events: Map<number, SessionEvent>, signal: AbortSignal): Promise<void> {
  const gone = container.exited.then(() => "gone" as const);
  while (!signal.aborted) {
    try {
      using connection = new AgentConnection(await container.dial({ signal }));
      const request = { sessionId: "", afterSequence: events.size };
      for await (const { response } of connection.client.watchEvents(request, { signal })) {
        if (response.case !== "events") continue;
        for (const event of response.value.events) keep(events, event);
      }
      return;
    } catch {
      // Killed, like everything here; what counts is what was seen.
    }
    if ((await Promise.race([gone, delay(100, "again" as const)])) === "gone") return;
  }
}

function keep(events: Map<number, SessionEvent>, event: SessionEvent): void {
  const known = events.get(event.sequence);
  if (known !== undefined && !Buffer.from(bytesOf(known)).equals(bytesOf(event))) {
    throw new Error(`The agent tells two stories about its event ${event.sequence}.`);
  }
  events.set(event.sequence, event);
}

/** An event as bytes, without its number. */
export function bytesOf(event: SessionEvent): Uint8Array {
  return toBinary(SessionEventSchema, { ...event, sequence: 0 });
}
