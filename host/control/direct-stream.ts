import { create, toBinary } from "@bufbuild/protobuf";
import { type ContextValues, createContextKey } from "@connectrpc/connect";
import { HeartbeatSchema, keepEncoded, onAbort, encodedBatch, type SessionEvent } from "../../proto/index.ts";
import { type WatchEventsResponse, WatchEventsResponseSchema } from "../../proto/control.ts";
import type { AnyResponse } from "./any-http-server.ts";

const responseKey = createContextKey<AnyResponse | undefined>(undefined);

/** Notes the response that a call's answer goes to, for `directStream`. */
export function noteResponse(values: ContextValues, response: AnyResponse): void {
  values.set(responseKey, response);
}

/** Returns the stream behind a call's answer. Undefined: there is none to be written to directly. */
export function directStream(values: ContextValues): DirectStream | undefined {
  const response = values.get(responseKey);
  return response && new DirectStream(response);
}

/**
 * Stream behind the answer of WatchEvents. Connect takes each message through a dozen promises, and encodes it anew for each
 * watcher; what is written here is encoded once for all. gRPC, gRPC-web and Connect have the same envelope around a message.
 * Its user has seen connect write what comes before, and yields nothing meanwhile.
 */
class DirectStream {
  readonly #response: AnyResponse;
  #roomy = true;

  constructor(response: AnyResponse) {
    this.#response = response;
  }

  /**
   * Writes all batches, each once the ones before have been taken, and heartbeats between them. Ends with the batches, which
   * must end with the signal. Throws what they throw.
   */
  async write(
    batches: AsyncIterable<SessionEvent[]>,
    { heartbeatMs, signal }: { heartbeatMs: number; signal: AbortSignal },
  ): Promise<void> {
    const silence = setInterval(() => {
      if (this.#roomy) this.#roomy = this.#send(HEARTBEAT);
    }, heartbeatMs);
    let wake = () => {};
    const onDrain = () => {
      this.#roomy = true;
      wake();
    };
    this.#response.on("drain", onDrain);
    using _aborted = onAbort([signal], () => wake());
    try {
      for await (const events of batches) {
        if (signal.aborted) return;
        this.#roomy = this.#send(envelopeOf(events));
        silence.refresh();
        while (!this.#roomy && !signal.aborted) await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      clearInterval(silence);
      this.#response.off("drain", onDrain);
    }
  }

  /** Whether there is room for more. That a caller has gone is told by the call's signal. */
  #send(envelope: Uint8Array): boolean {
    return (this.#response as NodeJS.WritableStream).write(envelope, () => {});
  }
}

const HEARTBEAT = toEnvelope({ case: "heartbeat", value: create(HeartbeatSchema) });

/** Returns the message of a batch, remembered as long as the array is. */
function envelopeOf(events: SessionEvent[]): Uint8Array {
  const batch = encodedBatch(events);
  return keepEncoded(batch, () => toEnvelope({ case: "events", value: batch }));
}

function toEnvelope(response: WatchEventsResponse["response"]): Uint8Array {
  const data = toBinary(WatchEventsResponseSchema, create(WatchEventsResponseSchema, { response }));
  const envelope = Buffer.allocUnsafeSlow(5 + data.length);
  envelope[0] = 0;
  envelope.writeUInt32BE(data.length, 1);
  envelope.set(data, 5);
  return envelope;
}
