import { createMcpHandler, type McpHttpHandler, type McpRequestContext, McpServer } from "@modelcontextprotocol/server";
import { serveStdio, type StdioServerHandle } from "@modelcontextprotocol/server/stdio";
import type { ServerLog } from "./server-log.ts";
import type { Sessions } from "../session/sessions.ts";
import { loadApply, registerApplyTools } from "./apply-tools.ts";
import type { LocalSourceOptions } from "../source/local-source.ts";
import { findProject } from "../source/project.ts";
import type { RepositorySource } from "../source/repository-source.ts";
import type { SnapshotReceiver } from "../source/snapshot-sender.ts";
import { registerChangesTool } from "./changes-tool.ts";
import { cancelingByPost } from "./cancel-by-post.ts";
import type { ClientPipe } from "./client-pipe.ts";
import { ContainerSpawnerTool } from "./container-spawner.ts";
import { firstRoot } from "./first-root.ts";
import { ListenBus } from "./listen-bus.ts";
import { registerPrompts } from "./prompts.ts";
import { ResourceUpdates } from "./resource-updates.ts";
import { type ReadFile, registerResources, registerSubscriptions } from "./resources.ts";
import { registerSessionTools } from "./session-tools.ts";
import { SessionTasks } from "./session-tasks.ts";
import { registerTasks } from "./tasks.ts";
import { Waits } from "./waits.ts";

const instructions = (which: string): string =>
  `Runs other Claude Code instances in sealed containers. Use spawn_claude_container for a task that can be done on a copy of a repository: ${which}. It returns a patch: review it, then apply_changes (offered where you are on the host's machine) takes it into your project as a branch or into the files, and undo_changes takes it back. For several tasks at once give it tasks, a list. Sessions outlive the call that started them and Claude Code itself: list_sessions finds them again, wait_session and get_session bring their results.`;

const HERE = "by default the one that you are in, as it lies on disk, uncommitted work included";
const ELSEWHERE = "one that an http(s) URL names, since this server is on another machine";

/** Sessions that are offered, and by which version. */
export interface MCPServerOptions {
  sessions: Sessions;
  version: string;
  logger: ServerLog;
  /** State directory of the host, of a server that is one with it. Default: the project's. */
  stateDirectory?: string;
  /** The parent's project, where that is on this machine: what sessions work on and results are applied to. Undefined: it is elsewhere. */
  project?: {
    /** Where the client does not say where it works. */
    directory: string;
    /** Of this program. */
    stateDirectory: string;
    /** Returns what the user has set for what goes into sessions. Default: nothing. */
    defaults?: LocalSourceOptions["defaults"];
    /** Claude Code's configuration directory of the user. */
    claudeDirectory?: string | undefined;
    /** Traceparent of what started this program. */
    traceParent?: string | undefined;
    /** Host elsewhere, which does not have that directory. */
    receiver?: SnapshotReceiver | undefined;
  };
}

/**
 * Server of the sessions over MCP: `spawn_claude_container`, the tools that come back to a session, and each session's
 * patch and answer as resources. It speaks the current revision of the protocol and those of 2025.
 */
export class MCPServer {
  readonly #options: MCPServerOptions;
  readonly #tool: ContainerSpawnerTool;
  readonly #waits: Waits;

  constructor(options: MCPServerOptions) {
    this.#options = options;
    const { project } = options;
    const source: RepositorySource = { find: async (...given) => (await loadSource(project)).find(...given) };
    this.#waits = new Waits(options);
    const { directory, traceParent } = project ?? {};
    this.#tool = new ContainerSpawnerTool({ ...options, waits: this.#waits, source, directory, traceParent });
  }

  /** Serves one client over its pipe while that is open. */
  serveStdio(pipe: ClientPipe): StdioServerHandle {
    let server: McpServer | undefined;
    const tell = (uri: string) => void server?.server.sendResourceUpdated({ uri }).catch(() => {});
    const updates = new ResourceUpdates(this.#options.sessions, tell);
    pipe.updates = updates;
    const create = ({ era }: McpRequestContext) => (server = this.#createServer(era, updates));
    const handle = serveStdio(create, {
      transport: pipe,
      onerror: (error) => this.#options.logger.warn({ err: error }, "mcp transport"),
    });
    return {
      async close() {
        updates[Symbol.dispose]();
        await handle.close();
      },
    };
  }

  /** Loads what calls of tools use, which a client's first answers do not wait for. */
  async load(): Promise<void> {
    await loadSource(this.#options.project);
    await loadApply();
    await import("../results/session-file.ts");
  }

  /** Resolves once the work that closing the transports began is done. */
  settled(): Promise<void> {
    return this.#waits.settled();
  }

  /** Returns a handler for MCP over HTTP. Its caller has to check authorization. Once it is closed, none of its clients counts as there. */
  httpHandler(): McpHttpHandler {
    const bus = new ListenBus(this.#options.sessions);
    const handler = createMcpHandler(({ era }) => this.#createServer(era), {
      bus,
      onerror: (error) => this.#options.logger.warn({ err: error }, "mcp request"),
    });
    const close = async () => {
      await handler.close();
      this.#waits[Symbol.dispose]();
    };
    return { ...handler, close, fetch: cancelingByPost(bus.serving(handler.fetch)) };
  }

  /** Creates a server. `updates` tell a client of the protocol of 2025 over a pipe of what it subscribes to. */
  #createServer(era: McpRequestContext["era"], updates?: ResourceUpdates): McpServer {
    const { version, sessions, project, logger } = this.#options;
    const server = new McpServer(
      { name: "claudecluster", title: "ClaudeCluster", version },
      { instructions: instructions(project === undefined ? ELSEWHERE : HERE) },
    );
    this.#tool.register(server);
    const waits = this.#waits;
    registerTasks(server, new SessionTasks(waits));
    const directoryOf = async ({ directory }: { directory: string }, options: { signal: AbortSignal }) =>
      (await firstRoot(server, options)) ?? directory;
    if (project === undefined) registerSessionTools(server, { sessions, logger, waits });
    else {
      const { stateDirectory } = project;
      const projectDirectory = (options: { signal: AbortSignal }) => directoryOf(project, options);
      const ownProject = async (options: { signal: AbortSignal }) =>
        findProject(await projectDirectory(options), options);
      registerSessionTools(server, { sessions, logger, waits, ownProject });
      registerApplyTools(server, { sessions, logger, projectDirectory, stateDirectory });
    }
    registerChangesTool(server, { sessions, logger });
    if (era === "modern") server.server.registerCapabilities({ resources: { subscribe: true } });
    else if (updates !== undefined) registerSubscriptions(server, updates);
    const readFile: ReadFile = async (id, path, { signal }) => {
      const { readSessionFile } = await import("../results/session-file.ts");
      const directory = project && (await directoryOf(project, { signal }));
      const { stateDirectory = project?.stateDirectory ?? "" } = this.#options;
      return readSessionFile(sessions, id, path, { stateDirectory, directory, signal });
    };
    registerResources(server, sessions, readFile);
    registerPrompts(server, sessions);
    return server;
  }
}

/** Loads the source of sessions' repositories. */
async function loadSource(project: MCPServerOptions["project"]): Promise<RepositorySource> {
  if (project === undefined) return new (await import("../source/address-source.ts")).AddressSource();
  return new (await import("../source/local-source.ts")).LocalSource(project);
}
