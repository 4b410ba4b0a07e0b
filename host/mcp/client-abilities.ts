import {
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  type McpServer,
  type ServerContext,
} from "@modelcontextprotocol/server";

/** Extension of the protocol by which a call is answered with a task. */
export const TASKS = "io.modelcontextprotocol/tasks";

/** What a client can do, as it declares with a request or, in the protocol of 2025, once. */
export interface ClientAbilities {
  /** It polls tasks. */
  tasks: boolean;
  /** It shows forms to its user. */
  forms: boolean;
  /** It takes questions in place of an answer and calls again; otherwise the server asks while the call waits. */
  callsAgain: boolean;
}

/** Returns what the client of a request can do. */
export function clientAbilities({ server }: McpServer, { mcpReq }: ServerContext): ClientAbilities {
  const { envelope } = mcpReq;
  const own = (envelope as Record<string, unknown> | undefined)?.[CLIENT_CAPABILITIES_META_KEY] as
    ClientCapabilities | undefined;
  const { elicitation, extensions } =
    own ?? (envelope === undefined ? server.getClientCapabilities() : undefined) ?? {};
  return {
    tasks: envelope !== undefined && extensions?.[TASKS] !== undefined,
    forms: elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined),
    callsAgain: envelope !== undefined,
  };
}
