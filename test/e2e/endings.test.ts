import { afterAll, beforeAll, expect, test } from "vitest";
import { containersGone } from "../support/containers-gone.ts";
import { type McpRig, startMcpServer } from "../support/mcp-client.ts";
import { type Rig, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const spawn = (args: Record<string, unknown>, mcp: McpRig = rig.mcp) =>
  mcp.spawn({ repository: rig.repository, ...args });

test("a call that is canceled ends its session: the changes are kept, the container is removed", async () => {
  const abort = new AbortController();
  let sessionId = "";
  const call = rig.mcp.spawn(
    { task: "[scenario: long-run seconds=60 steps=20]", repository: rig.repository },
    {
      signal: abort.signal,
      onProgress: (line) => {
        sessionId = /^session (ses_\w+)$/.exec(line)?.[1] ?? sessionId;
        if (/: [AM] /.test(line)) abort.abort(new Error("enough"));
      },
    },
  );
  await expect(call).rejects.toThrow();
  // The patch is there as soon as the session has ended.
  const uri = `claudecluster://sessions/${sessionId}/patch`;
  await containersGone(rig.mcp.place);
  const { contents } = await rig.mcp.client.readResource({ uri });
  expect((contents[0] as { text: string }).text).toContain("diff --git");
});

test("a call that times out at its client leaves its session running", async () => {
  let sessionId = "";
  const args = { task: "[scenario: long-run seconds=60 steps=20]", repository: rig.repository };
  const call = rig.mcp.spawn(args, {
    timeoutMs: 3000,
    onProgress: (line) => (sessionId = /^session (ses_\w+)$/.exec(line)?.[1] ?? sessionId),
  });
  await expect(call).rejects.toThrow("timed out");
  const { summary } = await rig.mcp.call("get_session", { session_id: sessionId });
  expect(summary!.state).toMatch(/^(queued|preparing|running)$/);
  expect((await rig.mcp.call("stop_session", { session_id: sessionId })).summary!.state).toBe("canceled");
});

test.each([
  ["an empty task", { task: "  " }, "TASK_EMPTY"],
  ["a repository that is none", { repository: "not a url" }, "REPOSITORY_URI_INVALID"],
  ["credentials in the URL", { repository: "https://u:p@example.com/x" }, "REPOSITORY_URI_CREDENTIALS"],
  ["a negative memory limit", { memory: "-1g" }, "MEMORY_INVALID"],
  ["an absurd memory limit", { memory: "9000t" }, "MEMORY_INVALID"],
  ["a negative CPU limit", { cpus: -1 }, "CPU_INVALID"],
  ["more CPUs than there are", { cpus: 512 }, "CPU_INVALID"],
  ["a negative timeout", { timeout_seconds: -5 }, "TIMEOUT_INVALID"],
  ["a reserved variable", { environment: { ANTHROPIC_API_KEY: "x" } }, "ENVIRONMENT_RESERVED"],
  ["an unknown argument", { timout: 5 }, "timout"],
  ["a missing task", { task: undefined }, "task"],
])("refuses %s and says so, without a container", async (_name, args, reason) => {
  const { isError, text, summary } = await spawn({ task: "x", ...args });
  expect(isError).toBe(true);
  expect(text).toContain(reason);
  expect(summary).toBeUndefined();
});

test.each([
  ["an unknown image", { image: "claudecluster/no-such-image:1" }, "IMAGE_NOT_FOUND"],
  ["an unknown ref", { ref: "no-such-branch" }, "REF_NOT_FOUND"],
  ["a port where nobody listens", { repository: "http://127.0.0.1:1/x.git" }, "REPOSITORY_UNREACHABLE"],
  ["a host that does not exist", { repository: "https://no-such-host.invalid/x.git" }, "REPOSITORY_UNREACHABLE"],
])("fails with the reason for %s, and removes the container", async (_name, args, reason) => {
  const { isError, summary, text } = await spawn({ task: "[scenario: small-edit]", ...args });
  expect(isError).toBe(true);
  expect(summary?.state, text).toBe("failed");
  expect(summary?.failure?.reason).toContain(reason);
  expect(summary?.failure?.message).toMatch(/\. \S.+/);
  await containersGone(rig.mcp.place);
});

test("says that a repository is not there", async () => {
  const missing = rig.repository.replace("greeter", "nothing-here");
  const { summary } = await spawn({ task: "[scenario: small-edit]", repository: missing });
  expect(summary?.failure?.reason).toBe("REPOSITORY_NOT_FOUND");
});

test.each([
  ["crashes", "[scenario: crash]", "CLAUDE_EXITED"],
  ["exits in silence", "[scenario: silent-exit]", "CLAUDE_EXITED"],
  ["is refused a model", "[scenario: api-error status=404]", "MODEL_ERROR"],
  ["sends what the API refuses", "[scenario: api-error status=400]", "MODEL_ERROR"],
  ["may not use the API", "[scenario: api-error status=403 step=2]", ""],
])("a Claude that %s gives a failure with its changes", async (_name, task, reason) => {
  const { isError, summary } = await spawn({ task });
  expect(isError).toBe(true);
  expect(summary?.state).toBe("failed");
  expect(summary?.failure?.reason).toContain(reason);
  await containersGone(rig.mcp.place);
});

test("a timeout interrupts a hanging Claude and still returns what was changed", async () => {
  const { summary } = await spawn({ task: "[scenario: long-run seconds=120 steps=40]", timeout_seconds: 12 });
  expect(summary).toMatchObject({ state: "failed", failure: { reason: "TIMED_OUT" } });
  expect(summary!.change_count).toBeGreaterThan(0);
  expect(summary!.elapsed_seconds).toBeLessThan(40);
  const hanging = await spawn({ task: "[scenario: hang]", timeout_seconds: 8 });
  expect(hanging.summary?.failure?.reason).toBe("TIMED_OUT");
});

test.each(["429", "500", "529", "drop", "reset"])("goes on after a passing API failure (%s)", async (status) => {
  const { summary } = await spawn({ task: `[scenario: api-error status=${status} times=1]` });
  expect(summary?.state).toBe("succeeded");
});

test("ends on the first refusal of a bad key", async () => {
  await using mcp = await startMcpServer({
    config: { base_url: rig.model.url, credential: { api_key: "sk-ant-wrong" } },
  });
  const { summary } = await spawn({ task: "[scenario: small-edit]" }, mcp);
  expect(summary).toMatchObject({ state: "failed", failure: { reason: "AUTHENTICATION_FAILED" } });
  expect(summary!.elapsed_seconds).toBeLessThan(20);
});

test("says what to do when there is no key, and when there is no engine", async () => {
  await using keyless = await startMcpServer({});
  const { isError, text } = await spawn({ task: "x" }, keyless);
  expect(isError).toBe(true);
  expect(text).toMatch(/NO_CREDENTIAL.*claudecluster credential set/);
  // The key is there, but not where it would outlive this server.
  await using elsewhere = await startMcpServer({ env: { ANTHROPIC_API_KEY: "sk-ant-elsewhere" } });
  const told = await spawn({ task: "x" }, elsewhere);
  expect(told.text).toContain("printenv ANTHROPIC_API_KEY | claudecluster credential set");
  expect(told.text).not.toContain("sk-ant-elsewhere");
  await using engineless = await startMcpServer({
    config: { credential: { api_key: "x" } },
    env: { DOCKER_HOST: "unix:///nowhere/docker.sock" },
  });
  const { summary } = await spawn({ task: "x" }, engineless);
  expect(summary).toMatchObject({ state: "failed", failure: { reason: "RUNTIME_UNAVAILABLE" } });
});

test.each([
  ["floods its output", "[scenario: output-flood megabytes=30]"],
  ["writes lines of 5 MB and edits a huge file", "[scenario: huge-edit]"],
  ["writes bytes that are no text", "[scenario: invalid-utf8]"],
  ["gives a 2 MB answer", "[scenario: long-answer]"],
])("a Claude that %s is cut, and the session goes on", async (_name, task) => {
  const { summary } = await spawn({ task });
  expect(summary?.state, JSON.stringify(summary?.failure)).toBe("succeeded");
  expect(JSON.stringify(summary).length).toBeLessThan(60_000);
});

test("waits for what Claude left running in the background", async () => {
  const { summary } = await spawn({ task: "[scenario: background-task seconds=3]" });
  expect(summary?.state).toBe("succeeded");
});
