import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DialRequest, DialRequestSchema } from "../../proto/control.ts";
import type { Sessions } from "../session/sessions.ts";

/** Serves Dial: the first request names the session, and the bytes of all requests go to its agent. */
export async function* dial(
  sessions: Sessions,
  requests: AsyncIterable<DialRequest>,
  options: { signal: AbortSignal },
): AsyncGenerator<{ data: Uint8Array }> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  const sessionId = first.done === true ? "" : first.value.sessionId;
  const bytes = async function* () {
    if (first.done !== true) yield first.value.data;
    for await (const { data } of { [Symbol.asyncIterator]: () => iterator }) yield data;
  };
  for await (const data of sessions.dial(sessionId, bytes(), options)) yield { data };
}

/** Returns the requests of a Dial to a session's agent. */
export async function* dialRequests(
  sessionId: string,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<MessageInitShape<typeof DialRequestSchema>> {
  yield { sessionId };
  for await (const data of bytes) yield { data };
}
