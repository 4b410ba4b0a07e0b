import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { Broker } from "../../host/broker/broker.ts";
import { DockerRuntime } from "../../host/runtime/docker/docker-runtime.ts";
import type { Container } from "../../host/runtime/runtime.ts";
import { type AgentResult, AgentLink } from "../../host/session/agent-link.ts";
import { egressRules } from "../../host/session/egress.ts";
import { SessionLog } from "../../host/session/session-log.ts";
import { SqliteStore } from "../../host/store/sqlite-store.ts";
import { RepositorySpecSchema, type SessionEvent, SessionSpecSchema, completeSpec } from "../../proto/index.ts";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { startScriptedModel } from "../model/scripted-model.ts";
import { docker } from "../support/docker.ts";
import { startGitServer } from "../support/git-server.ts";
import { NO_GIT_CREDENTIALS } from "../support/no-git-credentials.ts";
import { openModel } from "../support/open-model.ts";

const logger = pino({ level: "silent" });
const KEY = "sk-ant-resilience-0123456789";
const GIB = 1024 ** 3;

test("Claude does not notice that bridges are killed while an answer streams, nor is an event lost when its host goes away", async () => {
  await using model = await startScriptedModel({ key: KEY });
  await using git = await startGitServer();
  const uri = await git.addRepository("greeter", SMALL_REPOSITORY);
  const task = "[scenario: slow-stream seconds=6]";
  const repository = create(RepositorySpecSchema, { uri });
  const spec = completeSpec(create(SessionSpecSchema, { task, repository, timeout: durationFromMs(120_000) }));

  using store = SqliteStore.open(":memory:");
  const sessionId = "ses_RESILIENCE";
  store.createSession(sessionId, { container: "{}", events: [] });
  const log = new SessionLog(store, sessionId);
  await using runtime = new DockerRuntime();
  const shape = {
    image: "claudecluster/agent:latest",
    memoryBytes: 2 * GIB,
    cpuCount: 2,
    workspaceSizeBytes: GIB,
  };
  await using container = await runtime.create(shape, { signal: AbortSignal.timeout(30_000) });

  // A host, as far as the container can tell: a connection, and a broker with the key.
  const startHost = (hosted: Container) => {
    const gone = new AbortController();
    const options = {
      model: {
        ...openModel(model.url, { kind: "api-key", value: KEY }),
        spending: { reserve: () => Promise.resolve({ held: { [Symbol.dispose]: () => {} } }), add: () => {} },
        onRetry: () => {},
        onReach: () => {},
      },
      git: { ...NO_GIT_CREDENTIALS, repositories: [uri] },
      proxy: { maxEgressBytes: GIB },
      logger,
      onDecision: () => {},
      egress: egressRules(spec, { mode: "none", allowed: [], allowedPrivate: [] }),
    };
    const broker = new Broker(options);
    const gitPrefixes = [`${new URL(uri).origin}/`];
    const result = new AgentLink({ container: hosted, spec, log, left: store.left, broker, gitPrefixes }).run(
      gone.signal,
    );
    result.catch(() => {});
    const vanish = async () => {
      gone.abort(new Error("the host is gone"));
      broker[Symbol.dispose]();
      await result.catch(() => {});
    };
    return { result, vanish };
  };
  const requestCount = () => model.requests.filter(({ scenario }) => scenario === "slow-stream").length;
  const kinds = async () => {
    const all: SessionEvent["event"]["case"][] = [];
    for await (const { event } of log.between(1, Infinity)) all.push(event.case);
    return all;
  };

  const first = startHost(container);
  await vi.waitFor(() => expect(requestCount()).toBe(1), { timeout: 30_000, interval: 20 });
  const restored = async () => (await kinds()).filter((kind) => kind === "connectionRestored").length;
  for (const kill of [1, 2]) {
    await killBridges(container.ref.id);
    await vi.waitFor(async () => expect(await restored()).toBe(kill), { timeout: 20_000, interval: 20 });
  }
  expect(requestCount()).toBe(1);

  await first.vanish();
  // Nobody is there: what Claude asks for now is held, not refused.
  const adopted = await runtime.adopt(container.ref, { signal: AbortSignal.timeout(10_000) });
  await using again = adopted!;
  const second = startHost(again);
  const { result }: AgentResult = await second.result;
  expect(result.outcome.case, JSON.stringify(result.outcome.value)).toBe("success");
  // The answer that was cut with the host is asked for again.
  expect(requestCount()).toBe(2);
  // Gapless: the agent's numbers are all there, each once.
  expect(log.lastAgentSequence).toBeGreaterThan(5);
  const ours = ["connectionMade", "connectionLost", "connectionRestored"];
  expect((await kinds()).filter((kind) => !ours.includes(kind!)).length).toBe(log.lastAgentSequence - 1);
});

/** Kills every program that carries a connection into the container, from outside. */
async function killBridges(containerId: string): Promise<void> {
  const top = await docker("top", containerId, "-eo", "pid,args");
  const pids = top
    .split("\n")
    .filter((line) => line.includes("socat"))
    .map((line) => Number.parseInt(line, 10));
  expect(pids.length).toBeGreaterThan(0);
  for (const pid of pids) process.kill(pid, "SIGKILL");
}
