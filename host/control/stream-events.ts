import type { HandlerContext } from "@connectrpc/connect";
import { checkSequence, encodedBatch, eventFeed, type FeedItem, type Session } from "../../proto/index.ts";
import type { Sessions } from "../session/sessions.ts";
import { cutSession } from "./cut-session.ts";
import { directStream } from "./direct-stream.ts";

/** Sessions, and how their events are streamed. */
export interface StreamOptions {
  sessions: Sessions;
  /** Time without a message after which a stream has a heartbeat (ms). */
  heartbeatMs: number;
  /** Signal that is aborted, with the error for callers, when the host ends. */
  closing: AbortSignal;
}

/**
 * Streams a session as it is now, its events from then on, and what else is to be told. Throws NOT_FOUND, OUT_OF_RANGE,
 * and what the host ends with.
 */
export async function* streamEvents<Other = never>(
  { sessions, heartbeatMs, closing }: StreamOptions,
  { sessionId, afterSequence }: { sessionId: string; afterSequence: number },
  { context, others }: { context: HandlerContext; others?: AsyncGenerator<Other> },
): AsyncGenerator<{ case: "session"; value: Session } | FeedItem | Other> {
  const session = await sessions.get(sessionId);
  checkSequence(afterSequence, session.lastSequence);
  yield { case: "session", value: cutSession(session) };
  const signal = AbortSignal.any([context.signal, closing]);
  const batches = sessions.watch(sessionId, { afterSequence, signal });
  const direct = others === undefined && !isJson(context) ? directStream(context.values) : undefined;
  if (direct !== undefined) await direct.write(batches, { heartbeatMs, signal });
  // Of several readers each would have every event encoded again.
  else yield* eventFeed(batches, { heartbeatMs, others, pack: isJson(context) ? undefined : encodedBatch });
  closing.throwIfAborted();
}

function isJson({ requestHeader }: HandlerContext): boolean {
  return requestHeader.get("content-type")?.includes("json") === true;
}
