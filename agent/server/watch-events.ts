import type { WatchEventsRequest, WatchEventsResponse } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import { eventStream } from "./event-stream.ts";
import type { CallContext } from "./grpc-service.ts";
import { helloOf } from "./hello.ts";

/** Streams the session's events to somebody who only reads. */
export async function* watchEvents(
  core: AgentCore,
  request: WatchEventsRequest,
  { signal }: CallContext,
): AsyncGenerator<{ response: WatchEventsResponse["response"] }> {
  const session = core.sessions.require(request.sessionId);
  yield { response: helloOf(core, session) };
  const { heartbeatMs } = core.timeouts;
  for await (const response of eventStream(session.log, {
    afterSequence: request.afterSequence,
    heartbeatMs,
    signal,
  })) {
    yield { response };
  }
}
