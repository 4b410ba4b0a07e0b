import { create } from "@bufbuild/protobuf";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { pino } from "pino";
import { expect, onTestFinished, test, vi } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { PermissionRequestedSchema, Session_State as State, StateChangedSchema } from "../../proto/index.ts";
import { callersWith } from "../callers/callers.ts";
import { serveHttp } from "./http-server.ts";
import { MCPServer } from "./mcp-server.ts";
import { DATA } from "./tool-result.ts";
import { readWaitId, waitId } from "./wait.ts";

const spawn = { name: "spawn_claude_container", arguments: { task: "x", repository: "none" } };

async function start(capabilities: object) {
  const sessions = new MemorySessions();
  const mcp = new MCPServer({ sessions, version: "1", logger: pino({ level: "silent" }) });
  const server = await serveHttp({
    address: "127.0.0.1:0",
    callers: callersWith("t"),
    allowedHosts: [],
    serve: () => mcp.httpHandler(),
  });
  const client = new Client({ name: "test", version: "1" }, { capabilities, versionNegotiation: { mode: "auto" } });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(server.url), { requestInit: { headers: { authorization: "Bearer t" } } }),
  );
  onTestFinished(async () => {
    await client.close();
    await server[Symbol.asyncDispose]();
    sessions[Symbol.dispose]();
  });
  return { sessions, client };
}

function ask(sessions: MemorySessions, id: string, requestId: string): void {
  const request = {
    requestId,
    toolName: "Bash",
    inputJson: '{"command":"ls \\u202e\\u001b[2J"}',
    sessionRules: ["Bash(ls *)"],
  };
  sessions.say(
    id,
    { case: "permissionRequested", value: create(PermissionRequestedSchema, request) },
    { case: "stateChanged", value: create(StateChangedSchema, { state: State.WAITING }) },
  );
}

const running = { case: "stateChanged" as const, value: create(StateChangedSchema, { state: State.RUNNING }) };

test("a wait is known by its id, and what is none is not", () => {
  const wait = {
    kind: "message" as const,
    sessionIds: ["ses_1"],
    report: "session" as const,
    until: "all" as const,
    endMs: 7,
    message: { id: "m", afterSequence: 3 },
  };
  expect(readWaitId(waitId(wait))).toEqual(wait);
  expect(waitId({ kind: "spawn", sessionIds: ["ses_1"], report: "session" })).toBe("spawn.ses_1");
  for (const id of ["", "ses_1", "spawn.", "spawn.ses_1?end=x", "spawn.ses_1?report=y"]) {
    expect(readWaitId(id)).toBeUndefined();
  }
});

test("what is put into a form after somebody else has decided does not count, and the answer says so", async () => {
  const { sessions, client } = await start({ elicitation: { form: {} } });
  client.setRequestHandler("elicitation/create", async () => {
    const { id } = (await sessions.list({})).sessions[0]!;
    await sessions.decide(id, { requestId: "r1", allow: false });
    sessions.say(id, running);
    return { action: "accept", content: { decision: "Allow once" } };
  });
  const calling = client.callTool(spawn);
  await vi.waitUntil(async () => (await sessions.list({})).sessions.length === 1, 20_000);
  const { id } = (await sessions.list({})).sessions[0]!;
  ask(sessions, id, "r1");
  await vi.waitUntil(async () => (await sessions.get(id)).state === State.RUNNING, 20_000);
  sessions.finish(id);
  expect(JSON.stringify(await calling)).toContain("it has not counted");
});

test("a permission is a form at the client, and its answer goes to the session", async () => {
  const { sessions, client } = await start({ elicitation: { form: {} } });
  const shown: string[] = [];
  client.setRequestHandler("elicitation/create", ({ params }) => {
    shown.push(params.message);
    return { action: "accept", content: { decision: "Allow for this session" } };
  });
  const calling = client.callTool(spawn);
  await vi.waitUntil(async () => (await sessions.list({})).sessions.length === 1, 20_000);
  const { id } = (await sessions.list({})).sessions[0]!;
  ask(sessions, id, "r1");
  await vi.waitUntil(async () => (await sessions.get(id)).decidedRequestIds.length === 1, 20_000);
  sessions.say(id, running);
  sessions.finish(id);
  expect(await calling).toMatchObject({ _meta: { [DATA]: { state: "succeeded" } } });
  expect(shown).toHaveLength(1);
  expect(shown[0]).toContain("│ command: ls \\u{202e}\\u{1b}[2J");
  expect(shown[0]).toContain("│ Bash(ls *)");
  expect((await sessions.get(id)).decidedRequestIds).toEqual(["r1"]);
});
