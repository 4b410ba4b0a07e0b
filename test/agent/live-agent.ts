import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Session, SessionSpecSchema, StartSessionRequestSchema } from "../../proto/index.ts";
import { type ScriptedModel, startScriptedModel } from "../model/scripted-model.ts";
import { type AgentRig, type Connection, serveModel, startRig } from "./agent-rig.ts";

/** An agent with a real Claude Code, a scripted model, and a host that connects the two. */
export interface LiveAgent extends AsyncDisposable {
  readonly rig: AgentRig;
  readonly model: ScriptedModel;
  readonly connection: Connection;
  start(
    task: string,
    spec?: MessageInitShape<typeof SessionSpecSchema>,
    more?: Pick<MessageInitShape<typeof StartSessionRequestSchema>, "previousConversationId" | "gitPrefixes">,
  ): Promise<void>;
  /** Takes the host away: nobody carries the container's connections. */
  disconnect(): Promise<void>;
  /** The session as GetSession tells it. */
  session(): Promise<Session>;
}

export async function startLiveAgent({
  gitPort,
  ...options
}: Parameters<typeof startRig>[0] & { gitPort?: number | undefined } = {}): Promise<LiveAgent> {
  const model = await startScriptedModel();
  const rig = await startRig(options);
  const connection = rig.connect();
  const serving = serveModel(connection, model.url, { gitPort });
  return {
    rig,
    model,
    connection,
    async start(task, spec = {}, more = {}) {
      await connection.client.startSession({ sessionId: "ses_1", spec: { task, ...spec }, ...more });
    },
    async disconnect() {
      await serving[Symbol.asyncDispose]();
      connection[Symbol.dispose]();
    },
    session: async () => (await connection.client.getSession({})).session!,
    async [Symbol.asyncDispose]() {
      await serving[Symbol.asyncDispose]();
      await rig[Symbol.asyncDispose]();
      await model[Symbol.asyncDispose]();
    },
  };
}
