import { AgentService, Artifact_Kind } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import { acceptConnections } from "./accept-connections.ts";
import { attach } from "./attach.ts";
import { getAgentInfo } from "./get-agent-info.ts";
import { getSession } from "./get-session.ts";
import { type GrpcService, grpcService, type GrpcServiceOptions } from "./grpc-service.ts";
import { prepareSession } from "./prepare-session.ts";
import { readArtifact, readWholeArtifact } from "./read-artifact.ts";
import { restoreSession } from "./restore-session.ts";
import { startSession } from "./start-session.ts";
import { tunnel } from "./tunnel.ts";
import { watchEvents } from "./watch-events.ts";
import { writeArtifact } from "./write-artifact.ts";

/** Returns the implementation of AgentService. */
export function agentService(core: AgentCore, options: GrpcServiceOptions): GrpcService {
  return grpcService(
    AgentService,
    {
      getAgentInfo: () => getAgentInfo(core),
      writeArtifact: (requests, context) => writeArtifact(core, requests, context),
      restoreSession: (requests, context) => restoreSession(core, requests, context),
      prepareSession: (request, context) => prepareSession(core, request, context),
      startSession: (request) => startSession(core, request),
      attach: (requests, context) => attach(core, requests, context),
      watchEvents: (request, context) => watchEvents(core, request, context),
      getSession: (request) => getSession(core, request),
      readArtifact: (request, context) => readArtifact(core, request, context),
      readChanges: ({ sessionId }, context) =>
        readWholeArtifact(core, { sessionId, kind: Artifact_Kind.PATCH }, context),
      readTranscript: ({ sessionId }, context) =>
        readWholeArtifact(core, { sessionId, kind: Artifact_Kind.TRANSCRIPT }, context),
      acceptConnections: (request, context) => acceptConnections(core, request, context),
      tunnel: (requests, context) => tunnel(core, requests, context),
    },
    options,
  );
}
