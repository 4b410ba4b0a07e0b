import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type EventBatch, EventBatchSchema } from "./gen/claudecluster/agent/v1alpha1/agent_service_pb.ts";
import { type SessionEvent, SessionEventSchema } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";

/** Events as they stand in a batch, each after its length. */
const fields = new WeakMap<SessionEvent, Uint8Array>();

/**
 * Encodes an event that does not change any more. The bytes are remembered as long as the event is: batches with it do
 * not encode it again.
 */
export function encodeEvent(event: SessionEvent): Uint8Array {
  const bytes = toBinary(SessionEventSchema, event);
  fields.set(event, new BinaryWriter().bytes(bytes).finish());
  return bytes;
}

/**
 * Returns a batch whose events are encoded already. On the wire it equals any other batch of them, but its field
 * `events` is empty: it is for readers that are sent bytes, not for JSON.
 */
export function encodedBatch(events: readonly SessionEvent[]): EventBatch {
  const batch = create(EventBatchSchema);
  const { number: no } = EventBatchSchema.field.events;
  batch.$unknown = events.map((event) => {
    if (!fields.has(event)) encodeEvent(event);
    return { no, wireType: WireType.LengthDelimited, data: fields.get(event)! };
  });
  return batch;
}
