import { expect, test } from "vitest";
import { applyPatch } from "../support/apply-patch.ts";
import { containersGone } from "../support/containers-gone.ts";
import { startMcpServer } from "../support/mcp-client.ts";
import { startRig } from "../support/rig.ts";
import { DATA } from "../../host/mcp/tool-result.ts";

test("closing Claude Code in the middle of four running sessions and opening it again brings all four results", async () => {
  await using rig = await startRig();
  const { place } = rig.mcp;
  const names = ["alpha", "beta", "gamma", "delta"];
  const ids: string[] = [];
  {
    await using first = await startMcpServer({ place });
    const started = names.map((name) => {
      const working = Promise.withResolvers<undefined>();
      const task = `[scenario: long-run seconds=10 steps=5] ${name}`;
      first
        .spawn(
          { task, repository: rig.repository },
          {
            onProgress: (line) => {
              const id = /^session (ses_\w+)$/.exec(line)?.[1];
              if (id !== undefined) ids.push(id);
              if (/: [AM] /.test(line)) working.resolve(undefined);
            },
          },
        )
        .catch(() => {});
      return working.promise;
    });
    await Promise.all(started);
    // As Claude Code does it: no farewell, at most half a second.
    process.kill(first.pid(), "SIGINT");
    process.kill(first.pid(), "SIGTERM");
  }
  await using second = await startMcpServer({ place });
  const listed = await second.client.callTool({ name: "list_sessions", arguments: { state: "live" } });
  const live = (listed._meta?.[DATA] as { sessions: { session_id: string }[] }).sessions;
  expect(live.map(({ session_id }) => session_id).sort()).toEqual([...ids].sort());
  const progress: string[] = [];
  const outcomes = await Promise.all(
    ids.map((id) => second.call("wait_session", { session_id: id }, { onProgress: (line) => progress.push(line) })),
  );
  expect(outcomes.map(({ summary }) => summary?.state)).toEqual(names.map(() => "succeeded"));
  expect(progress.some((line) => /: [AM] /.test(line))).toBe(true);
  for (const { summary } of outcomes) {
    const files = await applyPatch(rig.git.directoryOf("greeter"), summary!.patch!);
    expect(Object.keys(files).length).toBeGreaterThan(0);
    await containersGone(place);
  }
});

test("a parent talks to a session that it has not waited for, and stops it", async () => {
  await using rig = await startRig();
  const { mcp } = rig;
  const spawned = await mcp.spawn({
    task: "[scenario: small-edit]",
    repository: rig.repository,
    wait: false,
    idle_timeout_seconds: 120,
  });
  const id = spawned.summary!.session_id;
  expect(["queued", "preparing"]).toContain(spawned.summary!.state);
  const idle = await mcp.call("wait_session", { session_id: id });
  expect(idle.summary).toMatchObject({ state: "idle" });
  expect(idle.summary!.result).not.toBe("");
  const again = await mcp.call("send_message", {
    session_id: id,
    message: "[scenario: write-files count=2 prefix=second]",
  });
  expect(again.summary).toMatchObject({ state: "idle" });
  // Changes are found a moment after they were made.
  const look = async () => (await mcp.call("get_session", { session_id: id })).summary!;
  await expect
    .poll(async () => (await look()).changes.filter(({ path }) => path.includes("second")).length, { timeout: 30_000 })
    .toBe(2);
  expect((await look()).recent_progress!.length).toBeGreaterThan(0);
  const stopped = await mcp.call("stop_session", { session_id: id, reason: "done with it" });
  expect(stopped.summary).toMatchObject({ state: "canceled", canceled_by: "done with it" });
  expect(stopped.summary!.patch).toContain("second");
  const missing = await mcp.call("get_session", { session_id: "ses_NONE" });
  expect(missing).toMatchObject({ isError: true, text: expect.stringContaining("SESSION_NOT_FOUND") });
});

test("a parent decides what its session waits for, and gives the answer that it asks for", async () => {
  await using rig = await startRig();
  const { mcp } = rig;
  const calls = JSON.stringify([{ name: "Bash", input: { command: "touch made.txt", description: "Make a file" } }]);
  const asked = await mcp.spawn({
    task: `[scenario: call-tools ${calls}]`,
    repository: rig.repository,
    permission_mode: "default",
  });
  expect(asked).toMatchObject({ isError: false, summary: { state: "waiting" } });
  const [permission] = asked.summary!.waiting_for!;
  expect(permission).toMatchObject({
    kind: "permission",
    tool: "Bash",
    input: expect.stringContaining("touch made.txt"),
  });
  const session = { session_id: asked.summary!.session_id };
  const decision = { ...session, request_id: permission!.request_id, allow: true };
  expect((await mcp.call("decide_permission", decision)).summary?.waiting_for).toBeUndefined();
  expect((await mcp.call("decide_permission", decision)).text).toMatch(/DECISION_MADE|SESSION_OVER/);
  const { summary } = await mcp.call("wait_session", session);
  expect(summary).toMatchObject({ state: "succeeded", changes: [{ path: "made.txt" }] });

  const asking = await mcp.spawn({ task: "[scenario: ask-question]", repository: rig.repository });
  const [question] = asking.summary!.waiting_for!;
  expect(question).toMatchObject({
    kind: "question",
    questions: [{ options: [{ label: "Hello" }, { label: "Bonjour" }] }],
  });
  const other = { session_id: asking.summary!.session_id };
  await mcp.call("answer_question", { ...other, request_id: question!.request_id, answers: [["Bonjour"]] });
  const answered = await mcp.call("wait_session", other);
  expect(answered.summary).toMatchObject({ state: "succeeded", result: expect.stringContaining("Bonjour") });
});
