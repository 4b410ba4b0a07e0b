import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { toNodeHandler } from "@modelcontextprotocol/node";
import {
  acceptedContent,
  type CallToolResult,
  createMcpHandler,
  inputRequired,
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
} from "@modelcontextprotocol/server";
import { clientAbilities } from "../../host/mcp/client-abilities.ts";
import { registerTasks, requireTasks, taskAnswer } from "../../host/mcp/tasks.ts";
import { MemoryTasks, type Work } from "./memory-tasks.ts";

type Arguments = Readonly<Record<string, unknown>>;

const text = (said: string): CallToolResult => ({ content: [{ type: "text", text: said }] });
const confirm = (message: string) =>
  inputRequired.elicit({
    mode: "form",
    message,
    requestedSchema: { type: "object", properties: { confirm: { type: "boolean" } } },
  });
const NAME = inputRequired.elicit({
  mode: "form",
  message: "Whom for?",
  requestedSchema: { type: "object", properties: { name: { type: "string" } } },
});

/** The work of each tool that the suite wants, by its name. */
const WORK: Record<string, (given: Arguments, work: Work) => Promise<CallToolResult>> = {
  slow_compute: async ({ seconds }, { signal }) => {
    await delay(Number(seconds) * 1000, undefined, { signal });
    return text("computed");
  },
  failing_job: async () => ({ ...text("It failed."), isError: true }),
  protocol_error_job: async () => {
    throw new Error("It went wrong.");
  },
  confirm_delete: async ({ filename }, { ask }) => {
    await ask({ delete: confirm(`Delete ${String(filename)}?`) });
    return text("deleted");
  },
  multi_input: async (_, { ask }) => {
    await ask({ first: confirm("First?"), second: confirm("Second?") });
    return text("both");
  },
  // It asks who it is for before it becomes a task.
  test_tool_with_task: async ({ name }) => text(`done for ${String(name)}`),
};

/** Serves the tools that the suite's tasks scenarios call, on our task layer. Disposing of it ends it. */
export async function serveTasksFixture(): Promise<AsyncDisposable & { url: string }> {
  const tasks = new MemoryTasks();
  const handler = createMcpHandler(() => fixture(tasks));
  const serve = toNodeHandler(handler);
  const server = createServer((request, response) => {
    serve(request as Parameters<typeof serve>[0], response).catch(() => response.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    async [Symbol.asyncDispose]() {
      await handler.close();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function fixture(tasks: MemoryTasks): McpServer {
  const owner = new McpServer({ name: "tasks-fixture", version: "1" }, { capabilities: { tools: {} } });
  const { server } = owner;
  registerTasks(owner, tasks);
  const names = ["greet", ...Object.keys(WORK)];
  server.setRequestHandler("tools/list", () => ({
    tools: names.map((name) => ({ name, inputSchema: { type: "object" as const } })),
  }));
  server.setRequestHandler("tools/call", async ({ params: { name, arguments: given = {} } }, context) => {
    if (name === "greet") return text(`Hello, ${String(given["name"])}!`);
    const work = WORK[name];
    if (work === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Tool ${name} not found`);
    // One of them cannot do without.
    if (name === "failing_job") requireTasks(owner, context);
    const { inputResponses } = context.mcpReq;
    if (name === "test_tool_with_task" && inputResponses === undefined) {
      return inputRequired({ inputRequests: { user_name: NAME } });
    }
    const run = (own: Work) => work({ ...given, ...acceptedContent(inputResponses, "user_name") }, own);
    if (clientAbilities(owner, context).tasks) return taskAnswer(tasks.start(run), "begun");
    return run({ signal: context.mcpReq.signal, ask: () => Promise.resolve({}) });
  });
  return owner;
}
