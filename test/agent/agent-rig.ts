import { randomInt } from "node:crypto";
import { chmod, chown, mkdir, mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type Duplex, duplexPair } from "node:stream";
import { fileURLToPath } from "node:url";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { type Agent, type AgentOptions, createAgent } from "../../agent/agent.ts";
import type { AgentConfig } from "../../agent/config.ts";
import type { AgentClient } from "../../host/agent-client/agent-connection.ts";
import { SafeHttp2SessionManager } from "../../host/rpc/safe-session-manager.ts";
import { serveConnections } from "../../host/agent-client/serve-connections.ts";
import { Tunnels } from "../../host/agent-client/tunnels.ts";
import {
  AgentService,
  type AttachRequest,
  AttachRequestSchema,
  AttachStart_Role as Role,
  type EventBody,
  type Session,
  type SessionEvent,
} from "../../proto/index.ts";
import { AsyncQueue } from "../../host/rpc/async-queue.ts";

const BIN = fileURLToPath(new URL("../../node_modules/.bin", import.meta.url));
const asRoot = process.getuid?.() === 0;

/** A log line of the agent, as pino writes it. */
export type LogLine = Readonly<Record<string, unknown>>;

/** An agent in this process, in directories of its own. Disposing it closes it and removes them. */
export interface AgentRig extends AsyncDisposable {
  readonly agent: Agent;
  readonly config: AgentConfig;
  /** What the agent has logged. */
  readonly logged: readonly LogLine[];
  /** Opens one more connection to the agent. Closed with the rig. */
  connect(): Connection;
}

export interface Connection extends Disposable {
  readonly client: AgentClient;
}

/** Directories for an agent, with owners as in a container. Disposing it removes them. */
export interface AgentPlace extends AsyncDisposable {
  readonly root: string;
  readonly socketPath: string;
  readonly sessionIdentity: { uid: number; gid: number } | undefined;
  readonly config: AgentConfig;
  /** The same configuration as environment variables. */
  readonly variables: Record<string, string>;
}

/** Makes one in a new directory, or in `root`, which must not be there yet. */
export async function makePlace({ root: given }: { root?: string | undefined } = {}): Promise<AgentPlace> {
  const root = given ?? (await mkdtemp(join(tmpdir(), "agent-rig-")));
  if (given !== undefined) await mkdir(given);
  // mkdtemp made it for us alone.
  await chmod(root, 0o755);
  // Each place has a user of its own: the agent kills all processes of a session's.
  const uid = randomInt(100_000, 1_000_000);
  const sessionIdentity = asRoot ? { uid, gid: uid } : undefined;
  const baseIdentity = asRoot ? { uid: uid + 1_000_000, gid: uid + 1_000_000 } : undefined;
  const paths = {
    workTree: join(root, "workspace/repo"),
    base: join(root, "base"),
    scan: join(root, "scan"),
    supply: join(root, "supply"),
  };
  const home = join(root, "home");
  const own = async (path: string, identity: { uid: number; gid: number } | undefined) => {
    await mkdir(path, { mode: 0o755 });
    if (identity !== undefined) await chown(path, identity.uid, identity.gid);
  };
  await own(join(root, "workspace"), sessionIdentity);
  await own(home, sessionIdentity);
  await own(paths.scan, sessionIdentity);
  await own(paths.base, baseIdentity);
  const socketPath = join(root, "agent.sock");
  const path = [BIN, process.env["PATH"] ?? ""].join(delimiter);
  return {
    root,
    socketPath,
    sessionIdentity,
    config: {
      socketPath,
      listen: undefined,
      sessionIdentity,
      baseIdentity,
      paths,
      home,
      path,
      claudeCommand: "claude",
      modelPort: 0,
      proxyPort: 0,
      gitPort: 0,
      hostAbsenceTimeoutMs: 60_000,
      keepTimeoutMs: 0,
      logLevel: "debug",
      prepare: undefined,
    },
    variables: {
      CLAUDECLUSTER_SOCKET: socketPath,
      ...(sessionIdentity !== undefined && { CLAUDECLUSTER_SESSION_UID: String(sessionIdentity.uid) }),
      ...(baseIdentity !== undefined && { CLAUDECLUSTER_BASE_UID: String(baseIdentity.uid) }),
      CLAUDECLUSTER_WORK_TREE: paths.workTree,
      CLAUDECLUSTER_BASE_DIRECTORY: paths.base,
      CLAUDECLUSTER_SCAN_DIRECTORY: paths.scan,
      CLAUDECLUSTER_SUPPLY_DIRECTORY: paths.supply,
      CLAUDECLUSTER_HOME: home,
      CLAUDECLUSTER_PATH: path,
      CLAUDECLUSTER_MODEL_PORT: "0",
      CLAUDECLUSTER_PROXY_PORT: "0",
      CLAUDECLUSTER_GIT_PORT: "0",
      CLAUDECLUSTER_KEEP_TIMEOUT_SECONDS: "0",
    },
    async [Symbol.asyncDispose]() {
      await rm(root, { recursive: true, force: true });
      // Claude Code's own, one for each user.
      for (const name of sessionIdentity === undefined ? [] : [`claude-${uid}`, `cc-socks-${uid}`]) {
        await rm(`/tmp/${name}`, { recursive: true, force: true });
      }
    },
  };
}

export async function startRig(
  options: { config?: Partial<AgentConfig>; root?: string | undefined } & Omit<AgentOptions, "log"> = {},
): Promise<AgentRig> {
  const place = await makePlace({ root: options.root });
  const config = { ...place.config, ...options.config };
  const logged: LogLine[] = [];
  const log = pino(
    { level: "debug", base: null },
    { write: (line: string) => void logged.push(JSON.parse(line) as LogLine) },
  );
  // Nobody takes a result but where a test is about it.
  const timeouts = { shutdownResultMs: 0, ...options.timeouts };
  const agent = await createAgent(config, { ...options, timeouts, log });
  const connections: Connection[] = [];
  return {
    agent,
    config,
    logged,
    connect() {
      const [near, far] = duplexPair();
      agent.serve(far);
      const connection = connectOver(near);
      connections.push(connection);
      return connection;
    },
    async [Symbol.asyncDispose]() {
      await agent.close();
      for (const connection of connections) connection[Symbol.dispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}

type Kind = EventBody["case"];
type Value<C extends Kind> = Extract<EventBody, { case: C }>["value"];

/** Makes a client over a byte stream to an agent, as the host does, but without pings. */
export function connectOver(stream: Duplex): Connection {
  stream.on("error", () => {});
  // Otherwise Node answers the end with an end, writes, and fails an assertion of its own.
  stream.once("end", () => stream.destroy());
  const sessionManager = new SafeHttp2SessionManager("http://agent", {}, { createConnection: () => stream });
  const transport = createGrpcTransport({ baseUrl: "http://agent", sessionManager, acceptCompression: [] });
  return {
    client: createClient(AgentService, transport),
    [Symbol.dispose]() {
      sessionManager.abort();
      stream.destroy();
    },
  };
}

/** Somebody attached to the session. */
export interface Attached extends AsyncDisposable {
  /** Every event so far. */
  readonly events: readonly SessionEvent[];
  readonly refusals: readonly string[];
  /** The session as the hello said. */
  readonly hello: Promise<Session>;
  /** Resolves when the stream has ended, rejects as it has failed. */
  readonly done: Promise<void>;
  send(request: NonNullable<MessageInitShape<typeof AttachRequestSchema>["request"]>): void;
  /** The first event, past or future, of the kind for which the predicate holds. */
  event<C extends Kind>(kind: C, matches?: (value: Value<C>) => boolean): Promise<Value<C>>;
}

export function attach(
  connection: Connection,
  {
    role = Role.OWNER,
    afterSequence = 0,
    acknowledge = role === Role.OWNER,
  }: { role?: Role; afterSequence?: number; acknowledge?: boolean } = {},
): Attached {
  const abort = new AbortController();
  const requests = new AsyncQueue<AttachRequest>();
  const events: SessionEvent[] = [];
  const refusals: string[] = [];
  const hello = Promise.withResolvers<Session>();
  hello.promise.catch(() => {});
  const checks = new Set<() => void>();
  let ended = false;
  const send: Attached["send"] = (request) => requests.push(create(AttachRequestSchema, { request }));
  send({ case: "attach", value: { role, afterSequence } });
  const done = (async () => {
    try {
      for await (const { response } of connection.client.attach(requests, { signal: abort.signal })) {
        if (response.case === "hello") hello.resolve(response.value.session!);
        if (response.case === "requestRefused") refusals.push(response.value.reason);
        if (response.case === "events") {
          events.push(...response.value.events);
          if (acknowledge) send({ case: "acknowledge", value: { sequence: events.at(-1)!.sequence } });
        }
        for (const check of checks) check();
      }
    } catch (error) {
      hello.reject(error);
      if (!abort.signal.aborted) throw error;
    } finally {
      ended = true;
      requests.end();
      for (const check of checks) check();
    }
  })();
  done.catch(() => {});
  return {
    events,
    refusals,
    hello: hello.promise,
    done,
    send,
    event<C extends Kind>(kind: C, matches: (value: Value<C>) => boolean = () => true) {
      const found = Promise.withResolvers<unknown>();
      let next = 0;
      const check = () => {
        for (; next < events.length; next++) {
          const { event } = events[next]!;
          if (event.case !== kind || !matches(event.value as Value<C>)) continue;
          checks.delete(check);
          return found.resolve(event.value);
        }
        if (ended) found.reject(new Error(`The stream ended without the expected ${kind}: ${kinds(events)}`));
      };
      checks.add(check);
      check();
      return found.promise as Promise<Value<C>>;
    },
    async [Symbol.asyncDispose]() {
      abort.abort();
      requests.end();
      await done.catch(() => {});
    },
  };
}

/** Carries the container's connections to the model at `url`, and git's to `gitPort`, until disposed of. The proxy refuses. */
export function serveModel(
  connection: Connection,
  url: string,
  { gitPort }: { gitPort?: number | undefined } = {},
): AsyncDisposable {
  const abort = new AbortController();
  const tunnels = new Tunnels();
  const { hostname: host, port } = new URL(url);
  const serving = serveConnections(
    connection.client,
    {
      accept(listener, tunnel) {
        if (listener === "proxy") return void tunnel.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        const to = listener === "git" ? gitPort : Number(port);
        const socket = connect({ host, port: to ?? 0, allowHalfOpen: true });
        socket.on("error", () => tunnel.destroy());
        tunnel.on("error", () => socket.destroy());
        tunnel.on("close", () => socket.destroy());
        tunnel.pipe(socket).pipe(tunnel);
      },
    },
    { signal: abort.signal, tunnels },
  ).catch(() => {});
  return {
    async [Symbol.asyncDispose]() {
      abort.abort();
      tunnels[Symbol.dispose]();
      await serving;
    },
  };
}

export function kinds(events: readonly SessionEvent[]): string {
  return events.map(({ event }) => event.case).join(" ");
}
