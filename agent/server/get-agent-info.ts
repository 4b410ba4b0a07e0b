import { type Duration, durationFromMs } from "@bufbuild/protobuf/wkt";
import type { AgentCore } from "../agent-core.ts";

interface AgentInfo {
  agentVersion: string;
  instanceId: string;
  claudeVersion: string;
  gitVersion: string;
  capabilities: string[];
  sessionId: string;
  hostAbsenceTimeout: Duration;
}

/** What this agent can do beyond the package's first version; agent/README.md says what each is. */
const CAPABILITIES = [
  "decisions",
  "queued-messages",
  "turn-limit",
  "continuation",
  "git-listener",
  "resumable-tunnels",
  "artifacts",
  "snapshots",
  "setup",
  "check",
  "after",
  "commits",
  "audience",
  "user-files",
  "prepare",
];

/** Answers GetAgentInfo: versions, capabilities, and the session that the agent was given. */
export async function getAgentInfo(core: AgentCore): Promise<AgentInfo> {
  const { agent, claude, git } = await core.versions();
  return {
    agentVersion: agent,
    instanceId: core.instanceId,
    claudeVersion: claude,
    gitVersion: git,
    capabilities: CAPABILITIES,
    sessionId: core.sessions.current?.id ?? "",
    hostAbsenceTimeout: durationFromMs(core.config.hostAbsenceTimeoutMs),
  };
}
