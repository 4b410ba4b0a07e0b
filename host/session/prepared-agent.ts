import { create, toJsonString } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { mayStartEarly, PrepareSessionRequestSchema, type SessionSpec, SessionSpecSchema } from "../../proto/index.ts";
import { AgentConnection } from "../agent-client/agent-connection.ts";
import { agentError } from "../agent-client/agent-error.ts";
import type { Preparation, Prepared } from "../containers/preparation.ts";
import type { Container } from "../runtime/runtime.ts";

/** It cannot wait there, or the agent in the image does not know how: the container is worth having without. */
const WITHOUT_CLAUDE: ReadonlySet<string> = new Set(["CLAUDE_NOT_PREPARABLE", "AGENT_OUTDATED"]);

/** What an agent is prepared for. */
interface PrepareOptions {
  /** Holds what Claude is started with, and nothing else of a session. */
  spec: SessionSpec;
  gitPrefixes: readonly string[];
  signal: AbortSignal;
}

/**
 * Agent in a container that no session has yet, and where its Claude Code can wait, with that. It is asked nothing, and what it
 * would like to connect to is not carried.
 */
export class PreparedAgent implements Prepared {
  readonly lost: Promise<unknown>;
  readonly #connection: AgentConnection;
  readonly #over = new AbortController();
  #taken = false;

  private constructor(connection: AgentConnection) {
    this.#connection = connection;
    this.lost = this.#stay();
  }

  /** Reaches a container's agent and has it start Claude. Rejects with the signal's reason, or the agent's error. */
  static async prepare(container: Container, { spec, gitPrefixes, signal }: PrepareOptions): Promise<PreparedAgent> {
    const agent = new PreparedAgent(new AgentConnection(await container.dial({ signal })));
    const { client } = agent.#connection;
    try {
      await client.prepareSession({ spec, gitPrefixes: [...gitPrefixes] }, { signal }).catch((error: unknown) => {
        if (!WITHOUT_CLAUDE.has(agentError(error).reason)) throw error;
      });
      await agent.check({ signal });
      return agent;
    } catch (error) {
      agent[Symbol.dispose]();
      signal.throwIfAborted();
      throw agentError(error);
    }
  }

  async check({ signal }: { signal: AbortSignal }): Promise<void> {
    const { sessionId } = await this.#connection.client.getAgentInfo({}, { signal });
    if (sessionId !== "") throw new Error("The agent has a session.");
  }

  /** Returns the connection to the agent, which is the caller's from then on. */
  take(): AgentConnection {
    this.#taken = true;
    this.#over.abort();
    return this.#connection;
  }

  [Symbol.dispose](): void {
    this.#over.abort();
    if (!this.#taken) this.#connection[Symbol.dispose]();
  }

  /** An agent without anybody who takes its connections ends. Resolves once it is lost. */
  async #stay(): Promise<void> {
    try {
      const announced = this.#connection.client.acceptConnections({}, { signal: this.#over.signal });
      for await (const _connection of announced);
    } catch {
      // Lost is lost.
    }
  }
}

/** Returns what a container is prepared with, for a session like this one. It keeps nothing else of the session. */
export function preparationFor(
  spec: SessionSpec,
  { gitPrefixes, withUserFiles }: { gitPrefixes: readonly string[]; withUserFiles: boolean },
): Preparation {
  const { allowedTools, maxStepCount, environment, loadProjectSettings, jsonSchema, decisionTimeout, claudeTelemetry } =
    spec;
  const asks = decisionTimeout !== undefined && durationMs(decisionTimeout) > 0;
  const fixed = { allowedTools, maxStepCount, environment, loadProjectSettings, jsonSchema, claudeTelemetry };
  const { model, permissionMode } = spec;
  // What it is prepared with counts for nothing but for Claude's arguments and variables.
  const like = create(SessionSpecSchema, { ...fixed, model, permissionMode, decisionTimeout, task: "none yet" });
  const request = create(PrepareSessionRequestSchema, { spec: like, gitPrefixes: [...gitPrefixes] });
  // What it prepares itself for can be read on the engine: a variable may be a secret, and files of the user's come later.
  const mayPrepare = mayStartEarly(spec) && Object.keys(environment).length === 0 && !withUserFiles;
  return {
    prepares: mayPrepare ? toJsonString(PrepareSessionRequestSchema, request) : undefined,
    key: JSON.stringify([toJsonString(SessionSpecSchema, create(SessionSpecSchema, fixed)), asks, gitPrefixes]),
    prepare: (container, { signal }) => PreparedAgent.prepare(container, { spec: like, gitPrefixes, signal }),
  };
}
