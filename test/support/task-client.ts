type Json = Record<string, unknown>;

/** A client of MCP that declares the tasks extension, request by request, and sees results as they are on the wire. */
export interface TaskClient {
  fetch(request: Request): Promise<Response>;
  /** Sends a request, and returns the answer's result or error. */
  request(method: string, params: Json): Promise<{ result?: Json; error?: Json }>;
  /** Calls a tool. Its result may be a task. */
  call(params: { name: string; arguments: Json }): Promise<Json>;
  get(task: Json): Promise<Json>;
  update(task: Json, inputResponses: Json): Promise<Json>;
  cancel(task: Json): Promise<Json>;
}

/** Returns a client of a server that is reached by a function. */
export function taskClient(
  fetch: (request: Request) => Promise<Response>,
  capabilities: object,
  { tasks = true }: { tasks?: boolean } = {},
): TaskClient {
  const extensions = tasks ? { "io.modelcontextprotocol/tasks": {} } : {};
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": { ...capabilities, extensions },
  };
  const request: TaskClient["request"] = async (method, params) => {
    const headers = {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      "mcp-name": String(params["taskId"] ?? params["name"]),
    };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta } });
    const answer = await fetch(new Request("http://127.0.0.1/mcp", { method: "POST", headers, body }));
    const text = await answer.text();
    const messages = text.startsWith("{") ? [text] : [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data!);
    const found = messages.map((message) => JSON.parse(message) as Json).find(({ id }) => id === 1);
    if (found === undefined) throw new Error(`No answer to ${method}: ${answer.status} ${text}`);
    return found;
  };
  const result = async (method: string, params: Json): Promise<Json> => {
    const answer = await request(method, params);
    if (answer.result === undefined) throw new Error(JSON.stringify(answer.error));
    return answer.result;
  };
  return {
    fetch,
    request,
    call: (params) => result("tools/call", params),
    get: ({ taskId }) => result("tasks/get", { taskId }),
    update: ({ taskId }, inputResponses) => result("tasks/update", { taskId, inputResponses }),
    cancel: ({ taskId }) => result("tasks/cancel", { taskId }),
  };
}
