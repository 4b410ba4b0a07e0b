import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { socketPath } from "../../host/daemon/runtime-directory.ts";
import { type Dial, startDial } from "../support/claudecluster.ts";
import { type Rig, startRig } from "../support/rig.ts";

const execFileAsync = promisify(execFile);
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const BUF = here("../../node_modules/.bin/buf");
const SERVICE = "claudecluster.agent.v1alpha1.AgentService";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** Runs `inspect` on a session while it works, then lets it end. */
async function whileWorking(seconds: number, inspect: (dial: Dial, sessionId: string) => Promise<void>) {
  const id = Promise.withResolvers<string>();
  const working = Promise.withResolvers<undefined>();
  const call = rig.mcp.spawn(
    { task: `[scenario: long-run seconds=${seconds} steps=${seconds}]`, repository: rig.repository },
    {
      onProgress: (line) => {
        const sessionId = /^session (ses_\w+)$/.exec(line)?.[1];
        if (sessionId !== undefined) id.resolve(sessionId);
        if (line.endsWith(": Claude is working")) working.resolve(undefined);
      },
    },
  );
  call.catch(() => {});
  await working.promise;
  const sessionId = await id.promise;
  await using dial = await startDial(sessionId, rig.mcp.place);
  await inspect(dial, sessionId);
  return call;
}

function bufCurl(dial: Pick<Dial, "socket">, ...args: string[]) {
  return [
    BUF,
    ["curl", "--protocol", "grpc", "--http2-prior-knowledge", "--unix-socket", dial.socket, ...args],
    { cwd: tmpdir(), maxBuffer: 64 * 1024 * 1024 },
  ] as const;
}

test("buf curl lists the services by reflection, watches the events, and steers the session both ways", async () => {
  const { summary } = await whileWorking(60, async (dial, sessionId) => {
    const services = (await execFileAsync(...bufCurl(dial, "--list-services", "http://agent"))).stdout;
    expect(services.split("\n")).toEqual(expect.arrayContaining([SERVICE, "grpc.health.v1.Health"]));
    const info = await execFileAsync(...bufCurl(dial, "-d", "{}", `http://agent/${SERVICE}/GetAgentInfo`));
    expect(JSON.parse(info.stdout)).toMatchObject({ sessionId });

    const [command, args, options] = bufCurl(dial, "-d", "@-", `http://agent/${SERVICE}/Attach`);
    const attach = spawn(command, args, { cwd: options.cwd, stdio: ["pipe", "pipe", "inherit"] });
    const messages = readJson(attach.stdout);
    attach.stdin.write(JSON.stringify({ attach: { role: "ROLE_CONTROLLER" } }));
    const seen: string[] = [];
    let stopped = false;
    for await (const message of messages) {
      const { events = [] } = (message["events"] ?? {}) as { events?: Record<string, unknown>[] };
      for (const event of events) seen.push(...Object.keys(event));
      if (!stopped && seen.includes("filePatched")) {
        stopped = true;
        attach.stdin.write(JSON.stringify({ stop: { reason: "seen enough" } }));
      }
      if (seen.includes("sessionFinished")) break;
    }
    attach.stdin.end();
    expect(seen[1] === "sessionStarted" || seen.includes("sessionStarted")).toBe(true);
    expect(seen).toEqual(expect.arrayContaining(["turnStarted", "toolUseStarted", "filePatched", "sessionFinished"]));
    await new Promise((resolve) => attach.once("close", resolve));
  });
  expect(summary).toMatchObject({ state: "canceled", canceled_by: "seen enough" });
  expect(summary!.change_count).toBeGreaterThan(0);
});

test("buf curl creates a session through the host, steers it in one bidirectional call, and reads what it left", async () => {
  const host = { socket: socketPath(rig.mcp.place.directories.runtimeDirectory) };
  const control = "claudecluster.control.v1alpha1.SessionService";
  const curl = async (method: string, request: object) =>
    JSON.parse(
      (await execFileAsync(...bufCurl(host, "-d", JSON.stringify(request), `http://host/${method}`))).stdout,
    ) as {
      session: { id: string; result: { cancellation: { reason: string } } };
    };
  // Whoever needs the host first starts it.
  await rig.mcp.call("list_sessions", {});
  const services = (await execFileAsync(...bufCurl(host, "--list-services", "http://host"))).stdout;
  expect(services.split("\n")).toEqual(expect.arrayContaining([control, "grpc.health.v1.Health"]));
  const spec = { task: "[scenario: small-edit]", repository: { uri: rig.repository }, idleTimeout: "60s" };
  const { session } = await curl(`${control}/CreateSession`, { spec, requestId: "made-by-buf" });
  expect((await curl(`${control}/CreateSession`, { spec, requestId: "made-by-buf" })).session.id).toBe(session.id);

  const [command, args, options] = bufCurl(host, "-d", "@-", `http://host/${control}/Attach`);
  const attach = spawn(command, args, { cwd: options.cwd, stdio: ["pipe", "pipe", "inherit"] });
  const closed = new Promise((resolve) => attach.once("close", resolve));
  const say = (request: object) => attach.stdin.write(JSON.stringify(request));
  say({ attach: { sessionId: session.id, role: "ROLE_CONTROLLER" } });
  const seen: string[] = [];
  for await (const message of readJson(attach.stdout)) {
    const { events = [] } = (message["events"] ?? {}) as { events?: Record<string, unknown>[] };
    for (const event of events) {
      seen.push(...Object.keys(event));
      if ("turnFinished" in event && seen.filter((key) => key === "turnFinished").length === 1) {
        say({ userMessage: { text: "[scenario: write-files count=1 prefix=again]", messageId: "m2" } });
      } else if ("turnFinished" in event) say({ stop: { reason: "two are enough" } });
    }
    if (seen.includes("sessionFinished")) break;
  }
  attach.stdin.end();
  await closed;
  const left = await curl(`${control}/GetSession`, { sessionId: session.id });
  expect(left.session.result.cancellation).toEqual({ reason: "two are enough" });
  const refused = execFileAsync(
    ...bufCurl(host, "-d", JSON.stringify({ sessionId: "ses_NONE" }), `http://host/${control}/GetSession`),
  );
  await expect(refused).rejects.toMatchObject({
    stderr: expect.stringContaining("claudecluster.error.v1alpha1.ErrorInfo"),
  });
});

test("Python's grpcio, an unrelated client, watches one turn, interrupts it, and sends another message", async () => {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-python-"));
  try {
    const image = join(directory, "image.binpb");
    await execFileAsync(BUF, ["build", here("../../proto"), "-o", image]);
    await whileWorking(30, async (dial) => {
      const { stdout } = await execFileAsync("/usr/bin/python3", [here("./python_client.py"), image, dial.socket], {
        timeout: 90_000,
      });
      const seen = stdout.trim().split("\n");
      expect(seen[0]).toBe("hello");
      expect(seen).toEqual(
        expect.arrayContaining([
          "session_started",
          "turn_started",
          "file_patched",
          "interrupted",
          "second turn",
          "refused ROLE_INSUFFICIENT",
        ]),
      );
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});

/** Reads the JSON documents that buf prints one after the other. */
async function* readJson(input: NodeJS.ReadableStream): AsyncGenerator<Record<string, unknown>> {
  let document = "";
  for await (const line of createInterface({ input })) {
    document += `${line}\n`;
    if (line !== "}" && !(line.startsWith("{") && line.endsWith("}"))) continue;
    yield JSON.parse(document) as Record<string, unknown>;
    document = "";
  }
}
