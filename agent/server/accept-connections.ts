import type { AcceptConnectionsRequest } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import type { Announcement } from "../relay/relay.ts";
import type { CallContext } from "./grpc-service.ts";

/** Announces connections to the newest caller of AcceptConnections. The call before it ends as replaced. */
export async function* acceptConnections(
  core: AgentCore,
  { resumedConnectionIds }: AcceptConnectionsRequest,
  { signal }: CallContext,
): AsyncGenerator<Announcement | Record<string, never>> {
  using seat = core.connectionTaker.take();
  core.relay.keepOnly(resumedConnectionIds);
  yield {};
  yield* core.relay.announcements({ signal: AbortSignal.any([signal, seat.signal]) });
  seat.signal.throwIfAborted();
}
