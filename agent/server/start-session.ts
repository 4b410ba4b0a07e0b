import type { Session, StartSessionRequest } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";

/** Starts the session, or answers with the session if it has that id already. */
export async function startSession(
  core: AgentCore,
  request: StartSessionRequest,
): Promise<{ session: Session; usesGitListener: boolean; usesSnapshot: boolean }> {
  const session = core.sessions.start(request);
  const { usesGitListener, usesSnapshot } = session;
  return { session: session.snapshot(), usesGitListener, usesSnapshot };
}
