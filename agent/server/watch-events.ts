import { eventFeed, type WatchEventsRequest, type WatchEventsResponse } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import type { CallContext } from "./grpc-service.ts";
import { helloOf } from "./hello.ts";

/** Streams the session's events to a caller that only reads. */
export async function* watchEvents(
  core: AgentCore,
  { sessionId, afterSequence }: WatchEventsRequest,
  { signal }: CallContext,
): AsyncGenerator<{ response: WatchEventsResponse["response"] }> {
  const session = core.sessions.require(sessionId);
  yield { response: helloOf(core, session) };
  const { heartbeatMs } = core.timeouts;
  for await (const response of eventFeed(session.log.read({ afterSequence, signal }), { heartbeatMs })) {
    yield { response };
  }
}
