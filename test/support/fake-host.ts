import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import type { FakeBox } from "../../host/runtime/fake/fake-box.ts";
import { FakeMachine } from "../../host/runtime/fake/fake-machine.ts";
import { FakeRuntime } from "../../host/runtime/fake/fake-runtime.ts";
import type { QueueLimits } from "../../host/containers/container-queue.ts";
import { SessionManager } from "../../host/session/session-manager.ts";
import { SqliteStore } from "../../host/store/sqlite-store.ts";
import { ContainerSpecSchema, RepositorySpecSchema, type SessionEvent, SessionSpecSchema } from "../../proto/index.ts";
import { startRig as startAgentRig } from "../agent/agent-rig.ts";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { startScriptedModel } from "../model/scripted-model.ts";
import { startGitServer } from "./git-server.ts";
import { startContainers } from "./manager-options.ts";
import { NO_GIT_CREDENTIALS } from "./no-git-credentials.ts";
import { NO_SNAPSHOTS } from "./no-snapshots.ts";
import { openModel } from "./open-model.ts";
import { eachEvent } from "./each-event.ts";

/** The session layer on a fake runtime that holds the real agent and the real Claude Code. */
export async function startFakeHost({
  healthy = true,
  queue = {},
}: { queue?: Partial<QueueLimits>; healthy?: boolean } = {}) {
  await using stack = new AsyncDisposableStack();
  const model = stack.use(await startScriptedModel());
  const git = stack.use(await startGitServer());
  const { agent } = stack.use(await startAgentRig());
  const machine = new FakeMachine({
    createAgent: () => ({
      serve: (stream) => agent.serve(stream),
      exited: agent.exited,
      kill: () => agent.kill(),
      logLines: ["the agent's last words"],
    }),
  });
  const runtime = stack.use(new FakeRuntime({ machine }));
  if (!healthy) runtime.health = { healthy: false, reason: "RUNTIME_UNAVAILABLE", message: "No engine.", help: "" };
  const store = stack.use(SqliteStore.open(":memory:"));
  let containers = startContainers(runtime, store, queue);
  const startManager = () =>
    SessionManager.open({
      containers,
      store,
      defaultImage: "agent:test",
      setups: new Map(),
      model: openModel(model.url),
      git: NO_GIT_CREDENTIALS,
      snapshots: NO_SNAPSHOTS,
      egress: { mode: "none", allowed: [], allowedPrivate: [] },
      logger: pino({ level: "silent" }),
    });
  let sessions = startManager();
  stack.defer(async () => {
    await sessions[Symbol.asyncDispose]();
    await containers[Symbol.asyncDispose]();
  });
  const uri = await git.addRepository("greeter", SMALL_REPOSITORY);
  const owned = stack.move();
  return {
    machine,
    get sessions() {
      return sessions;
    },
    /** The host goes away, its containers do not; another one comes. */
    async restart() {
      await sessions.detach();
      const before = containers;
      containers = startContainers(runtime, store, queue);
      sessions = startManager();
      sessions.resume();
      await before[Symbol.asyncDispose]();
    },
    store,
    bareRepository: git.directoryOf("greeter"),
    start: (task: string) =>
      sessions.create({
        spec: create(SessionSpecSchema, { task, repository: create(RepositorySpecSchema, { uri }) }),
        container: create(ContainerSpecSchema),
      }),
    /** Reads the log to its end, and calls `act` at the first event of a kind. */
    async follow(id: string, kind?: SessionEvent["event"]["case"], act?: (box: FakeBox | undefined) => void) {
      let acted = kind === undefined;
      const events: SessionEvent[] = [];
      for await (const event of eachEvent(
        sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(100_000) }),
      )) {
        events.push(event);
        if (acted || event.event.case !== kind) continue;
        acted = true;
        act?.(machine.box((await sessions.get(id)).containerId));
      }
      return { events, session: await sessions.get(id) };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
