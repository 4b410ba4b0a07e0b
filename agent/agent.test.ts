import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { Duplex, duplexPair, Transform } from "node:stream";
import { once } from "node:events";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { AgentService, AttachStart_Role as Role, Session_State as State } from "../proto/index.ts";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../proto/gen/health/v1/health_pb.ts";
import { attach, connectOver, serveModel, startRig } from "../test/agent/agent-rig.ts";
import { preparingPlace } from "../test/agent/preparing-place.ts";
import { EXIT_CODES } from "./exit-codes.ts";

test("starts one session, and the same one again", async () => {
  await using rig = await startRig({ place: preparingPlace() });
  const { client } = rig.connect();
  const first = await client.startSession({ sessionId: "ses_1", spec: { task: "wait" } });
  const again = await client.startSession({ sessionId: "ses_1", spec: { task: "anything else" } });
  expect(again.session?.spec?.task).toBe("wait");
  expect(again.session?.createTime).toEqual(first.session?.createTime);
  await expect(client.startSession({ sessionId: "ses_2", spec: { task: "wait" } })).rejects.toMatchObject({
    code: Code.FailedPrecondition,
  });
  expect((await client.getAgentInfo({})).sessionId).toBe("ses_1");
});

test("refuses what cannot be a session, and knows none before there is one", async () => {
  await using rig = await startRig({ place: preparingPlace() });
  const { client } = rig.connect();
  const codeOf = (call: Promise<unknown>) =>
    call.then(
      () => undefined,
      (error: unknown) => ConnectError.from(error).code,
    );
  expect(await codeOf(client.getSession({}))).toBe(Code.NotFound);
  expect(await codeOf(client.startSession({ sessionId: "a/b", spec: { task: "x" } }))).toBe(Code.InvalidArgument);
  expect(await codeOf(client.startSession({ sessionId: "ses_1" }))).toBe(Code.InvalidArgument);
  expect(await codeOf(client.startSession({ sessionId: "ses_1", spec: { task: " " } }))).toBe(Code.InvalidArgument);
  expect((await client.getAgentInfo({})).sessionId).toBe("");
});

test("takes the place of a socket that was left behind, and removes nothing else", async () => {
  await using rig = await startRig({ place: preparingPlace() });
  await writeFile(rig.config.socketPath, "left behind");
  await rig.agent.listen();
  using connection = connectOver(connect(rig.config.socketPath));
  expect((await connection.client.getAgentInfo({})).instanceId).toBe(rig.agent.instanceId);
});

test("lets callers in over TCP only with the token, for every service", async () => {
  const token = "correct-horse-battery";
  await using rig = await startRig({
    place: preparingPlace(),
    config: { listen: { host: "127.0.0.1", port: 0, token } },
  });
  const port = await rig.agent.listen();
  const transport = (shown: string | undefined) => {
    const show: Interceptor = (next) => (request) => {
      if (shown !== undefined) request.header.set("authorization", shown);
      return next(request);
    };
    return createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}`, interceptors: [show] });
  };
  for (const shown of [undefined, "", "Bearer ", `Bearer ${token}x`, `Basic ${token}`, token]) {
    const refused = { code: Code.Unauthenticated };
    await expect(createClient(AgentService, transport(shown)).getAgentInfo({})).rejects.toMatchObject(refused);
    await expect(createClient(Health, transport(shown)).check({})).rejects.toMatchObject(refused);
  }
  const { instanceId } = await createClient(AgentService, transport(`Bearer ${token}`)).getAgentInfo({});
  expect(instanceId).toBe(rig.agent.instanceId);
  expect(JSON.stringify(rig.logged)).not.toContain(token);
});

test("tells everyone that it ends, finishes the session, and leaves nothing behind", async () => {
  await using rig = await startRig({ place: preparingPlace() });
  await rig.agent.listen();
  const connection = rig.connect();
  using other = connectOver(connect(rig.config.socketPath));
  await connection.client.startSession({ sessionId: "ses_1", spec: { task: "wait" } });
  await using owner = attach(connection);
  await using observer = attach(other, { role: Role.OBSERVER });
  await Promise.all([owner.hello, observer.hello]);
  const program = connect(rig.agent.modelPort, "127.0.0.1");
  program.on("error", () => {});
  await once(program, "connect");
  const gone = new Promise<void>((resolve) => program.once("close", () => resolve()));
  await rig.agent.close();
  await Promise.all([owner.done, observer.done]);
  expect(owner.events.at(-1)?.event).toMatchObject({ case: "sessionFinished", value: { state: State.CANCELED } });
  expect(observer.events).toHaveLength(owner.events.length);
  expect(await rig.agent.exited).toEqual({ exitCode: EXIT_CODES.closed });
  await gone;
  await rig.agent.close();
  expect(existsSync(rig.config.socketPath)).toBe(false);
});

test("lets the host that is there take the result of the session that it ends, and waits for none that was not", async () => {
  const timeouts = { shutdownResultMs: 20_000, shutdownSessionMs: 3_000 };
  await using rig = await startRig({ place: preparingPlace(), timeouts });
  const connection = rig.connect();
  const { client } = connection;
  await client.startSession({ sessionId: "ses_1", spec: { task: "wait" } });
  const owner = attach(connection);
  await owner.hello;
  const closing = rig.agent.close();
  await owner.done;
  expect((await client.getSession({})).session?.result?.outcome.case).toBe("cancellation");
  await closing;

  await using alone = await startRig({ place: preparingPlace(), timeouts: { ...timeouts, shutdownSessionMs: 60_000 } });
  await alone.connect().client.startSession({ sessionId: "ses_1", spec: { task: "wait" } });
  await alone.agent.close();
});

test("says NOT_SERVING to those who watch its health", async () => {
  await using rig = await startRig({
    place: preparingPlace(),
    config: { listen: { host: "127.0.0.1", port: 0, token: "x".repeat(20) } },
  });
  const port = await rig.agent.listen();
  const show: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${"x".repeat(20)}`);
    return next(request);
  };
  const health = createClient(
    Health,
    createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}`, interceptors: [show] }),
  );
  const seen: Status[] = [];
  const watching = (async () => {
    for await (const { status } of health.watch({})) seen.push(status);
  })().catch(() => {});
  await expect.poll(() => seen).toEqual([Status.SERVING]);
  await rig.agent.close();
  await watching;
  expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
});

test("ends when no host has been there for long, and stops the session first", async () => {
  await using rig = await startRig({ place: preparingPlace(), config: { hostAbsenceTimeoutMs: 300 } });
  const connection = rig.connect();
  await connection.client.startSession({ sessionId: "ses_1", spec: { task: "wait" } });
  await using observer = attach(connection, { role: Role.OBSERVER });
  // Whoever only watches does not count.
  expect(await rig.agent.exited).toEqual({ exitCode: EXIT_CODES.hostAbsent });
  await observer.done;
  expect(observer.events.at(-1)?.event).toMatchObject({ case: "sessionFinished", value: { state: State.CANCELED } });
});

test("keeps what a session left for a host that comes late", async () => {
  const config = { hostAbsenceTimeoutMs: 300, keepTimeoutMs: 60_000 };
  await using rig = await startRig({ place: preparingPlace(), config });
  {
    using connection = rig.connect();
    await connection.client.startSession({ sessionId: "ses_1", spec: { task: "wait" } });
    await using observer = attach(connection, { role: Role.OBSERVER });
    await observer.done;
  }
  using late = rig.connect();
  await using owner = attach(late);
  await owner.done;
  expect(owner.events.at(-1)?.event).toMatchObject({ case: "sessionFinished", value: { state: State.CANCELED } });
  const { session } = await late.client.getSession({});
  expect(session?.result?.outcome.case).toBe("cancellation");
});

test.each(["owner", "connection taker"])("stays as long as there is an %s", async (kind) => {
  await using rig = await startRig({ place: preparingPlace(), config: { hostAbsenceTimeoutMs: 300 } });
  const connection = rig.connect();
  await connection.client.startSession({ sessionId: "ses_1", spec: { task: "wait" } });
  {
    await using _host = kind === "owner" ? attach(connection) : serveModel(connection, "http://127.0.0.1:1");
    const outcome = await Promise.race([
      rig.agent.exited,
      new Promise((resolve) => setTimeout(() => resolve("stayed"), 900)),
    ]);
    expect(outcome).toBe("stayed");
  }
  expect(await rig.agent.exited).toEqual({ exitCode: EXIT_CODES.hostAbsent });
});

test("stays without a session while somebody takes its connections, and is given away once", async () => {
  await using rig = await startRig({ place: preparingPlace(), config: { hostAbsenceTimeoutMs: 300 } });
  const connection = rig.connect();
  const { client } = connection;
  await using _host = serveModel(connection, "http://127.0.0.1:1");
  const longAbsence = new Promise((resolve) => setTimeout(() => resolve("stayed"), 900));
  expect(await Promise.race([rig.agent.exited, longAbsence])).toBe("stayed");
  // What cannot be a session does not use it up.
  await expect(client.startSession({ sessionId: "ses_0", spec: { task: " " } })).rejects.toThrow();
  const start = (sessionId: string) => client.startSession({ sessionId, spec: { task: sessionId } });
  const answers = await Promise.allSettled(["ses_1", "ses_2", "ses_3"].map(start));
  const ids = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value.session?.id] : []));
  expect(ids).toHaveLength(1);
  expect((await client.getAgentInfo({})).sessionId).toBe(ids[0]);
  expect((await client.getSession({})).session?.spec?.task).toBe(ids[0]);
});

test("gives a replaced taker of connections its reason, and the new one what waits", async () => {
  await using rig = await startRig({ place: preparingPlace() });
  const connection = rig.connect();
  const accept = () => {
    const abort = new AbortController();
    const stream = connection.client.acceptConnections({}, { signal: abort.signal })[Symbol.asyncIterator]();
    return { next: async () => (await stream.next()).value as { connectionId: string } | undefined, abort };
  };
  const first = accept();
  expect((await first.next())?.connectionId).toBe("");
  const program: Socket = connect(rig.agent.proxyPort, "127.0.0.1");
  program.on("error", () => {});
  const announced = await first.next();
  const second = accept();
  expect((await second.next())?.connectionId).toBe("");
  expect(await second.next()).toEqual(announced);
  await expect(first.next()).rejects.toMatchObject({ code: Code.Aborted });
  second.abort.abort();
  program.destroy();
});

test("says that there is no Claude in the container, and what to do", async () => {
  await using rig = await startRig({ config: { claudeCommand: "nonesuch" } });
  const connection = rig.connect();
  await connection.client.startSession({ sessionId: "ses_1", spec: { task: "anything" } });
  await using owner = attach(connection);
  await owner.done;
  expect(owner.events.at(-1)?.event.value).toMatchObject({
    state: State.FAILED,
    result: { outcome: { case: "failure", value: { reason: "CLAUDE_NOT_FOUND", metadata: { command: "nonesuch" } } } },
  });
  expect((await connection.client.getAgentInfo({})).claudeVersion).toBe("");
});

test("notices that a host is frozen", async () => {
  const timeouts = { pingIntervalMs: 200, pingTimeoutMs: 200, drainMs: 100 };
  await using rig = await startRig({ place: preparingPlace(), timeouts, config: { hostAbsenceTimeoutMs: 300 } });
  const [near, far] = duplexPair();
  rig.agent.serve(far);
  let frozen = false;
  // Everything of the host passes here, until it does not any more.
  const gate = new Transform({ transform: (chunk, _encoding, done) => (frozen ? done() : done(null, chunk)) });
  const host = Duplex.from({ readable: near, writable: gate });
  gate.pipe(near);
  using connection = connectOver(host);
  await connection.client.startSession({ sessionId: "ses_1", spec: { task: "wait" } });
  await using owner = attach(connection);
  await owner.hello;
  frozen = true;
  expect(await rig.agent.exited).toEqual({ exitCode: EXIT_CODES.hostAbsent });
});
