import { AgentService } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import { acceptConnections } from "./accept-connections.ts";
import { attach } from "./attach.ts";
import { getAgentInfo } from "./get-agent-info.ts";
import { getSession } from "./get-session.ts";
import { type GrpcService, grpcService, type GrpcServiceOptions } from "./grpc-service.ts";
import { readChanges } from "./read-changes.ts";
import { readTranscript } from "./read-transcript.ts";
import { restoreSession } from "./restore-session.ts";
import { startSession } from "./start-session.ts";
import { tunnel } from "./tunnel.ts";
import { watchEvents } from "./watch-events.ts";

/** Returns AgentService over what the calls work on. */
export function agentService(core: AgentCore, options: GrpcServiceOptions): GrpcService {
  return grpcService(
    AgentService,
    {
      getAgentInfo: () => getAgentInfo(core),
      restoreSession: (requests) => restoreSession(core, requests),
      startSession: (request) => startSession(core, request),
      attach: (requests, context) => attach(core, requests, context),
      watchEvents: (request, context) => watchEvents(core, request, context),
      getSession: (request) => getSession(core, request),
      readChanges: (request, context) => readChanges(core, request, context),
      readTranscript: (request) => readTranscript(core, request),
      acceptConnections: (request, context) => acceptConnections(core, request, context),
      tunnel: (requests, context) => tunnel(core, requests, context),
    },
    options,
  );
}
