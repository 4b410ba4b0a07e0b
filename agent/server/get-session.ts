import type { GetSessionRequest, Session } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";

/** Answers GetSession with the session, its texts and lists whole. */
export async function getSession(core: AgentCore, request: GetSessionRequest): Promise<{ session: Session }> {
  return { session: core.sessions.require(request.sessionId).whole() };
}
