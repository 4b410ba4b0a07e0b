import { create } from "@bufbuild/protobuf";
import { vi } from "vitest";
import type { FakeAgent } from "../../host/runtime/fake/fake-agent.ts";
import { FakeMachine } from "../../host/runtime/fake/fake-machine.ts";
import { FakeRuntime } from "../../host/runtime/fake/fake-runtime.ts";
import { SessionManager, type SessionManagerOptions } from "../../host/session/session-manager.ts";
import { SqliteStore } from "../../host/store/sqlite-store.ts";
import {
  type AttachRequest,
  Decider,
  type EventBody,
  type FileChange,
  PermissionDecidedSchema,
  QuestionAnsweredSchema,
  type SessionEvent,
} from "../../proto/index.ts";
import { EmittingAgent } from "../load/emitting-agent.ts";
import { managerOptions, startContainers } from "../support/manager-options.ts";
import type { SessionsDriver, SessionsHarness } from "./sessions-contract.ts";

/** The real manager; it counts who reads. */
class CountingManager extends SessionManager {
  readCount = 0;
  watcherCount = 0;
  feedReaderCount = 0;

  static override open(options: SessionManagerOptions): CountingManager {
    return new CountingManager(options);
  }

  override async *watchAll(request: Parameters<SessionManager["watchAll"]>[0]): ReturnType<SessionManager["watchAll"]> {
    this.feedReaderCount += 1;
    try {
      yield* super.watchAll(request);
    } finally {
      this.feedReaderCount -= 1;
    }
  }

  override async *watch(...given: Parameters<SessionManager["watch"]>): AsyncGenerator<SessionEvent[], undefined> {
    this.watcherCount += 1;
    try {
      for await (const batch of super.watch(...given)) {
        this.readCount += batch.length;
        yield batch;
      }
    } finally {
      this.watcherCount -= 1;
    }
  }
}

/** The agents of a fake machine, which say what a test says and do what they are asked. */
class DrivenAgents {
  readonly messages: string[] = [];
  readonly interrupted: string[] = [];
  readonly #agents: EmittingAgent[] = [];

  create(): FakeAgent {
    const { promise: exited, resolve } = Promise.withResolvers<{ exitCode: number }>();
    const agent = new EmittingAgent({
      eventsPerSecond: 0,
      eventCount: Infinity,
      onRequest: (request) => this.#obey(agent, request),
    });
    this.#agents.push(agent);
    return { exited, serve: (stream) => agent.serve(stream), kill: () => resolve({ exitCode: 137 }) };
  }

  /** The agent of a session, which has taken it. */
  async of(sessionId: string): Promise<EmittingAgent> {
    const find = () => this.#agents.find((agent) => agent.sessionId === sessionId);
    return await vi.waitUntil(find, { interval: 1, timeout: 20_000 });
  }

  #obey(agent: EmittingAgent, { request }: AttachRequest): void {
    switch (request.case) {
      case "userMessage":
        this.messages.push(request.value.text);
        break;
      case "interrupt":
        this.interrupted.push(agent.sessionId);
        break;
      case "permissionDecision": {
        const { requestId, allow: allowed, message } = request.value;
        const fields = { requestId, allowed, message, decider: Decider.CALLER };
        agent.emit({ case: "permissionDecided", value: create(PermissionDecidedSchema, fields) });
        break;
      }
      case "answer": {
        const { requestId, answers } = request.value;
        const fields = { requestId, answers, decider: Decider.CALLER };
        agent.emit({ case: "questionAnswered", value: create(QuestionAnsweredSchema, fields) });
        break;
      }
      default:
        break;
    }
  }
}

/** The real session manager on the fake runtime. */
export async function startManagedSessions(): Promise<SessionsHarness> {
  await using stack = new AsyncDisposableStack();
  const store = stack.use(SqliteStore.open(":memory:"));
  const agents = new DrivenAgents();
  const machine = new FakeMachine({ createAgent: () => agents.create() });
  const runtime = stack.use(new FakeRuntime({ machine }));
  const containers = stack.use(startContainers(runtime, store));
  const sessions = stack.use(CountingManager.open({ containers, store, ...managerOptions() }));
  const driver: SessionsDriver = {
    messages: agents.messages,
    interrupted: agents.interrupted,
    get readCount() {
      return sessions.readCount;
    },
    get watcherCount() {
      return sessions.watcherCount;
    },
    get feedReaderCount() {
      return sessions.feedReaderCount;
    },
    async say(sessionId: string, ...events: EventBody[]) {
      const agent = await agents.of(sessionId);
      for (const event of events) agent.emit(event);
      const sequence = agent.lastSequence;
      await vi.waitUntil(() => store.lastAgentSequence(sessionId) >= sequence, { interval: 1, timeout: 20_000 });
    },
    async finish(sessionId: string, patch?: Uint8Array, changes: FileChange[] = []) {
      (await agents.of(sessionId)).finish({ patch, changes });
    },
  };
  const owned = stack.move();
  return { sessions, driver, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
