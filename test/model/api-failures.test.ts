import { describe, expect, it } from "vitest";
import { ask, type Reply } from "./converse.ts";
import { startScriptedModel } from "./scripted-model.ts";

async function ends(reply: Promise<Reply>): Promise<Reply | "cut"> {
  return reply.catch((error: unknown) => {
    // Fetch's one way to say that a connection broke.
    if (error instanceof TypeError) return "cut";
    throw error;
  });
}

function attempt(url: string, task: string, session = "one"): Promise<Reply | "cut"> {
  return ends(
    ask({ url, messages: [{ role: "user", content: task }], headers: { "x-claude-code-session-id": session } }),
  );
}

describe("scenario api-error", () => {
  it.each([
    [400, "invalid_request_error"],
    [401, "authentication_error"],
    [403, "permission_error"],
    [404, "not_found_error"],
    [429, "rate_limit_error"],
    [500, "api_error"],
    [529, "overloaded_error"],
  ])("answers %d as %s", async (status, type) => {
    await using model = await startScriptedModel();
    expect(await attempt(model.url, `[scenario: api-error status=${status}]`)).toMatchObject({
      status,
      body: { type: "error", error: { type } },
    });
  });

  it("fails as often as asked, for each session on its own", async () => {
    await using model = await startScriptedModel();
    const task = "[scenario: api-error status=529 times=2]";
    const statuses = async (session: string): Promise<unknown[]> => {
      const replies = [
        await attempt(model.url, task, session),
        await attempt(model.url, task, session),
        await attempt(model.url, task, session),
      ];
      return replies.map((reply) => (reply === "cut" ? reply : reply.status));
    };
    expect(await statuses("one")).toEqual([529, 529, 200]);
    expect(await statuses("two")).toEqual([529, 529, 200]);
  });

  it("sends message and retry-after", async () => {
    await using model = await startScriptedModel();
    const reply = await attempt(model.url, '[scenario: api-error status=429 retry-after=7 message="too fast"]');
    expect(reply).toMatchObject({ body: { error: { message: "too fast" } } });
    expect(reply === "cut" ? undefined : reply.headers.get("retry-after")).toBe("7");
  });

  it.each(["drop", "reset"])("cuts the connection on %s, and answers the next attempt", async (status) => {
    await using model = await startScriptedModel();
    const task = `[scenario: api-error status=${status} times=1]`;
    expect(await attempt(model.url, task)).toBe("cut");
    expect(await attempt(model.url, task)).toMatchObject({ status: 200, stopReason: "tool_use" });
  });

  it("sends an error event in the middle of a stream", async () => {
    await using model = await startScriptedModel();
    const reply = await attempt(model.url, "[scenario: api-error status=stream-error]");
    expect(reply).toMatchObject({ status: 200, stopReason: undefined });
    expect(reply === "cut" ? undefined : reply.events.at(-1)).toMatchObject({
      type: "error",
      error: { type: "overloaded_error" },
    });
  });

  it("never answers when it hangs, and lets go when the client leaves", async () => {
    await using model = await startScriptedModel();
    const signal = AbortSignal.timeout(200);
    await expect(
      ask({ url: model.url, messages: [{ role: "user", content: "[scenario: hang]" }], signal }),
    ).rejects.toThrow(/timeout/);
  });
});
