import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { ask, converse } from "./converse.ts";
import { startScriptedModel } from "./scripted-model.ts";
import { defineScenario, say } from "./scenario.ts";

const user = (text: string) => ({ role: "user", content: [{ type: "text", text }] }) as const;

describe("a scripted model", () => {
  it("plays a scenario to its end and records the requests", async () => {
    await using model = await startScriptedModel();
    const messages = await converse({ url: model.url, task: "[scenario: write-files count=2]" });
    expect(messages.filter(({ role }) => role === "assistant")).toHaveLength(3);
    expect(model.requests.map(({ method, path, scenario }) => ({ method, path, scenario }))).toEqual(
      Array(3).fill({ method: "POST", path: "/v1/messages?beta=true", scenario: "write-files" }),
    );
  });

  it("keeps sessions apart that talk at the same time", async () => {
    await using model = await startScriptedModel();
    const letters = ["a", "b", "c", "d"];
    const talks = letters.map((letter) =>
      converse({
        url: model.url,
        task: `[scenario: write-files count=5 prefix=${letter} content=${letter}]`,
        headers: { "x-claude-code-session-id": letter },
      }),
    );
    for (const [index, messages] of (await Promise.all(talks)).entries()) {
      const written = JSON.stringify(messages.filter(({ role }) => role === "assistant")).match(/"content":"(.) \d+/g);
      expect(new Set(written)).toHaveLength(5);
      expect(written?.every((text) => text.startsWith(`"content":"${letters[index] ?? ""}`))).toBe(true);
    }
  });

  it("gives the same ids to the same conversation, and others to another session", async () => {
    const ids = async (session: string): Promise<unknown> => {
      await using model = await startScriptedModel();
      const reply = await ask({
        url: model.url,
        messages: [user("[scenario: failing-command]")],
        headers: { "x-claude-code-session-id": session },
      });
      return reply.content.map((block) => block["id"]).concat((reply.events[0]?.["message"] as { id: string }).id);
    };
    expect(await ids("one")).toEqual(await ids("one"));
    expect(await ids("one")).not.toEqual(await ids("two"));
  });

  it("answers without streaming when asked to", async () => {
    await using model = await startScriptedModel();
    const reply = await ask({
      url: model.url,
      messages: [user("[scenario: stop-reason reason=refusal]")],
      stream: false,
    });
    expect(reply.body).toMatchObject({
      type: "message",
      role: "assistant",
      stop_reason: "refusal",
      content: [{ type: "text" }],
    });
  });

  it("takes the time a slow stream asks for, tick by tick", async () => {
    await using model = await startScriptedModel();
    const { events } = await ask({
      url: model.url,
      messages: [user("[scenario: slow-stream seconds=0.5 interval-ms=50]")],
    });
    const deltas = events.filter(({ type }) => type === "content_block_delta");
    expect(deltas).toHaveLength(10);
    expect(events.at(-1)?.receivedAtMs).toBeGreaterThan(400);
    expect(deltas[4]?.receivedAtMs).toBeLessThan(400);
  });

  it("plays scenarios of the caller's own", async () => {
    await using model = await startScriptedModel({
      scenarios: [defineScenario({ name: "mine", summary: "", steps: () => [say("mine")] })],
    });
    expect((await ask({ url: model.url, messages: [user("[scenario: mine]")] })).content).toEqual([
      { type: "text", text: "mine" },
    ]);
  });

  it.each([
    ["no credential", {}, "x-api-key header is required"],
    ["another key", { "x-api-key": "wrong" }, "invalid x-api-key"],
    ["another token", { authorization: "Bearer wrong" }, "Invalid bearer token"],
    [
      "a right key beside a wrong token",
      { "x-api-key": "right", authorization: "Bearer wrong" },
      "Invalid bearer token",
    ],
  ])("refuses %s", async (_, headers, message) => {
    await using model = await startScriptedModel({ key: "right" });
    const reply = await ask({ url: model.url, messages: [user("hello")], headers });
    expect(reply).toMatchObject({
      status: 401,
      body: { type: "error", error: { type: "authentication_error", message } },
    });
    expect(reply.body).toHaveProperty("request_id", reply.headers.get("request-id"));
  });

  it.each([{ "x-api-key": "right" }, { authorization: "Bearer right" }])(
    "accepts the right credential %o",
    async (headers) => {
      await using model = await startScriptedModel({ key: "right" });
      expect((await ask({ url: model.url, messages: [user("hello")], headers })).status).toBe(200);
    },
  );

  it("answers count_tokens, and everything else with 404", async () => {
    await using model = await startScriptedModel();
    const headers = { "anthropic-version": "2023-06-01" };
    const counted = await fetch(`${model.url}/v1/messages/count_tokens`, {
      method: "POST",
      headers,
      body: JSON.stringify({ messages: [] }),
    });
    expect(await counted.json()).toEqual({ input_tokens: expect.any(Number) as number });
    const other = await fetch(`${model.url}/v1/models`);
    expect([other.status, await other.json()]).toMatchObject([404, { error: { type: "not_found_error" } }]);
  });

  it.each([
    ["a missing version header", { headers: { "anthropic-version": "" } }],
    ["an unknown scenario", { task: "[scenario: nonesuch]" }],
    ["a broken marker", { task: "[scenario: write-files count=x]" }],
    ["a bad body", { fields: { max_tokens: 0 } }],
  ])(
    "refuses %s with 400",
    async (
      _,
      {
        task = "hello",
        headers = {},
        fields = {},
      }: { task?: string; headers?: Record<string, string>; fields?: Record<string, unknown> },
    ) => {
      await using model = await startScriptedModel();
      const reply = await ask({ url: model.url, messages: [user(task)], headers, fields });
      expect(reply).toMatchObject({ status: 400, body: { error: { type: "invalid_request_error" } } });
    },
  );

  it("keeps only the newest requests", async () => {
    await using model = await startScriptedModel({ keptRequests: 2 });
    for (const path of ["/a", "/b", "/c"]) await (await fetch(model.url + path)).text();
    expect(model.requests.map(({ path }) => path)).toEqual(["/b", "/c"]);
  });

  it("says so when its port is taken", async () => {
    await using model = await startScriptedModel();
    await expect(startScriptedModel({ port: model.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  it("frees its port and cuts open replies when disposed, also by its signal", async () => {
    for (const end of ["dispose", "abort"] as const) {
      const controller = new AbortController();
      const model = await startScriptedModel({ signal: controller.signal });
      const hanging = ask({ url: model.url, messages: [user("[scenario: hang]")] }).catch((error: unknown) => error);
      await expect.poll(() => model.requests.length).toBe(1);
      if (end === "abort") controller.abort();
      await model[Symbol.asyncDispose]();
      expect(await hanging).toBeInstanceOf(TypeError);
      const [error] = (await once(connect(model.port, "127.0.0.1"), "error")) as [NodeJS.ErrnoException];
      expect(error.code).toBe("ECONNREFUSED");
    }
  });
});
