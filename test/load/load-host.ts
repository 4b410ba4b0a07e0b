import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { pino } from "pino";
import { ControlServer } from "../../host/control/control-server.ts";
import type { CreateFakeAgent } from "../../host/runtime/fake/fake-agent.ts";
import { FakeMachine } from "../../host/runtime/fake/fake-machine.ts";
import { FakeRuntime } from "../../host/runtime/fake/fake-runtime.ts";
import { SessionManager } from "../../host/session/session-manager.ts";
import { SqliteStore } from "../../host/store/sqlite-store.ts";
import { ContainerSpecSchema, type SessionEvent, SessionSpecSchema } from "../../proto/index.ts";
import { startContainers } from "../support/manager-options.ts";
import { NO_GIT_CREDENTIALS } from "../support/no-git-credentials.ts";
import { NO_SNAPSHOTS } from "../support/no-snapshots.ts";
import { openModel } from "../support/open-model.ts";
import { NO_UPLOADS } from "../support/no-snapshots.ts";
import { QUIET_HOST } from "../support/quiet-host.ts";

/** A host on the fake runtime, as the daemon has it: one store on disk, one private socket. */
export interface LoadHost extends AsyncDisposable {
  sessions: SessionManager;
  store: SqliteStore;
  directory: string;
  storePath: string;
  socketPath: string;
  /** Creates as many sessions and returns their ids. */
  create(count: number): Promise<string[]>;
}

/** Has somebody told of events as soon as they are stored. */
function tellOfStored(store: SqliteStore, onStored: (events: SessionEvent[]) => void): void {
  const append = store.append.bind(store);
  store.append = (sessionId, events) => {
    const stored = append(sessionId, events);
    onStored(stored);
    return stored;
  };
}

/**
 * Starts it. `createAgent` gets the directory of the run, which is made in `parent`. `maxLiveBytes` is the store's, by
 * default its own. `onStored` is told of events before anybody else.
 */
export async function startLoadHost(
  createAgent: (directory: string) => CreateFakeAgent,
  {
    parent = tmpdir(),
    maxLiveBytes,
    onStored = () => {},
  }: { parent?: string; maxLiveBytes?: number | undefined; onStored?: (events: SessionEvent[]) => void } = {},
): Promise<LoadHost> {
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(parent, "claudecluster-load-"));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const logger = pino({ level: process.env["LOAD_LOG_LEVEL"] ?? "fatal" }, pino.destination({ fd: 2, sync: true }));
  const storePath = join(directory, "sessions.db");
  const store = stack.use(SqliteStore.open(storePath, maxLiveBytes === undefined ? {} : { maxLiveBytes }));
  tellOfStored(store, onStored);
  const machine = new FakeMachine({ createAgent: createAgent(directory) });
  const runtime = stack.use(new FakeRuntime({ machine }));
  const containers = stack.use(startContainers(runtime, store));
  const sessions = stack.use(
    SessionManager.open({
      containers,
      store,
      defaultImage: "agent:load",
      setups: new Map(),
      model: openModel("http://127.0.0.1:9"),
      git: NO_GIT_CREDENTIALS,
      snapshots: NO_SNAPSHOTS,
      egress: { mode: "none", allowed: [], allowedPrivate: [] },
      logger,
    }),
  );
  const server = stack.use(new ControlServer({ sessions, uploads: NO_UPLOADS, host: QUIET_HOST, logger }));
  // Not below TMPDIR, which may have too long a path for a socket.
  const socketDirectory = mkdtempSync("/tmp/cc-load-");
  stack.defer(() => rmSync(socketDirectory, { recursive: true }));
  const socketPath = join(socketDirectory, "host.sock");
  await server.listenUnix(socketPath);
  const owned = stack.move();
  return {
    sessions,
    store,
    directory,
    storePath,
    socketPath,
    async create(count) {
      const ids: string[] = [];
      for (let index = 0; index < count; index++) {
        const spec = create(SessionSpecSchema, { task: `load ${index}`, timeout: durationFromMs(3_600_000) });
        ids.push((await sessions.create({ spec, container: create(ContainerSpecSchema) })).id);
      }
      return ids;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
