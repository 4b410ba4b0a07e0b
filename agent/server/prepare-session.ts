import type { PrepareSessionRequest } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import type { CallContext } from "./grpc-service.ts";

/** Starts a Claude for a session to come, and answers once it is ready. */
export async function prepareSession(
  core: AgentCore,
  request: PrepareSessionRequest,
  context: CallContext,
): Promise<Record<string, never>> {
  await core.sessions.prepare(request, context);
  return {};
}
