import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { describe } from "vitest";
import { ControlClient } from "../../host/control/control-client.ts";
import { ControlServer } from "../../host/control/control-server.ts";
import { RemoteSessions } from "../../host/control/remote-sessions.ts";
import { MemorySessions } from "./memory-sessions.ts";
import { startManagedSessions } from "./managed-sessions.ts";
import { sessionsContract } from "./sessions-contract.ts";
import { NO_UPLOADS } from "../support/no-snapshots.ts";
import { QUIET_HOST } from "../support/quiet-host.ts";

describe("sessions in process", () => {
  sessionsContract(async () => {
    const driver = new MemorySessions();
    return { sessions: driver, driver, [Symbol.asyncDispose]: async () => driver[Symbol.dispose]() };
  });
});

describe("sessions of the manager", () => sessionsContract(startManagedSessions));

describe("sessions over the control API", () => {
  sessionsContract(async () => {
    await using stack = new AsyncDisposableStack();
    const directory = await mkdtemp(join(tmpdir(), "claudecluster-control-"));
    stack.defer(() => rm(directory, { recursive: true }));
    const driver = stack.use(new MemorySessions());
    const server = stack.use(
      new ControlServer({ sessions: driver, uploads: NO_UPLOADS, host: QUIET_HOST, logger: pino({ level: "silent" }) }),
    );
    const path = join(directory, "host.sock");
    await server.listenUnix(path);
    const client = stack.use(new ControlClient(path));
    const owned = stack.move();
    return { sessions: new RemoteSessions({ client }), driver, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  });
});
