import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type EventBatch, EventBatchSchema } from "./gen/claudecluster/agent/v1alpha1/agent_service_pb.ts";
import { type SessionEvent, SessionEventSchema } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";

/** Where an event keeps itself as it stands in a batch, after its length; where events keep their batch, and that its message. */
const ENCODED = Symbol("encoded");

/**
 * Keeps what `make` makes with what it is made from, as long as that is held, and returns it. Not in a WeakMap: every entry of
 * one costs the garbage collector time in each of its rounds, and there are thousands of events.
 */
export function keepEncoded<T>(holder: object & { [ENCODED]?: T }, make: () => T): T {
  const kept = holder[ENCODED];
  if (kept !== undefined) return kept;
  const value = make();
  Object.defineProperty(holder, ENCODED, { value });
  return value;
}

interface Encoded {
  field: Uint8Array;
  bytes: Uint8Array;
}

function inField(bytes: Uint8Array): Encoded {
  const field = new BinaryWriter().bytes(bytes).finish();
  return { field, bytes: field.subarray(field.length - bytes.length) };
}

function encoded(event: SessionEvent): Encoded {
  return keepEncoded(event, () => inField(toBinary(SessionEventSchema, event)));
}

/**
 * Encodes an event that does not change any more. The bytes are remembered as long as the event is: batches with it do
 * not encode it again.
 */
export function encodeEvent(event: SessionEvent): Uint8Array {
  return encoded(event).bytes;
}

/** Decodes an event that is not to change. Its bytes are remembered as by `encodeEvent`. */
export function decodeEvent(bytes: Uint8Array): SessionEvent {
  const event = fromBinary(SessionEventSchema, bytes);
  keepEncoded(event, () => inField(bytes));
  return event;
}

/**
 * Returns a batch whose events are encoded already. On the wire it equals any other batch of them, but its field
 * `events` is empty: it is for readers that are sent bytes, not for JSON. The batch is remembered as long as the array is,
 * which must not change any more.
 */
export function encodedBatch(events: readonly SessionEvent[]): EventBatch {
  return keepEncoded(events, () => {
    const batch = create(EventBatchSchema);
    const { number: no } = EventBatchSchema.field.events;
    batch.$unknown = events.map((event) => {
      return { no, wireType: WireType.LengthDelimited, data: encoded(event).field };
    });
    return batch;
  });
}
