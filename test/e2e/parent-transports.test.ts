import { expect, test, vi } from "vitest";
import { type Claude, startClaude } from "../model/claude-cli.ts";
import { type ParentServer, PARENT_SERVERS } from "../support/parent-servers.ts";
import { runningProcesses } from "../support/processes.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

/** A real Claude Code with our server, that is told which tools to call. */
async function startParent(rig: HostRig, { entry }: ParentServer) {
  const config = JSON.stringify({ mcpServers: { claudecluster: entry } });
  const args = ["--mcp-config", config, "--strict-mcp-config"];
  const claude = await startClaude({ url: rig.model.url, key: rig.key, arguments: args });
  return {
    /** Begins a turn with these calls; those of a list in the list are made together. */
    play: (...calls: readonly unknown[]) => claude.send(`[scenario: call-tools ${JSON.stringify(calls)}]`),
    /** What the model was given for each call until this turn had ended. */
    results: async (turn: number) => {
      await claude.result(turn);
      return toolResults(claude);
    },
    [Symbol.asyncDispose]: () => claude[Symbol.asyncDispose](),
  };
}

const tool = (name: string, input: object) => ({ name: `mcp__claudecluster__${name}`, input });

test.each(["stdio", "http"] as const)(
  "a real Claude Code by %s has four sessions at once, and of a long answer the start and where the rest is",
  async (transport) => {
    await using rig = await startHostRig();
    await using server = await PARENT_SERVERS[transport](rig);
    await using parent = await startParent(rig, server);
    const { repository } = rig;
    const spawnsOf = (number: number) =>
      tool("spawn_claude_container", {
        task: `[scenario: long-run seconds=3 steps=2] ${number}`,
        repository,
        wait: false,
      });
    const four = [1, 2, 3, 4];
    parent.play(
      four.map(spawnsOf),
      four.map((number) => tool("wait_session", { session_id: `{{session ${number}}}` })),
    );
    expect((await parent.results(1)).slice(-4)).toEqual(four.map(() => expect.stringContaining(" succeeded\n")));
    const { sessions } = await rig.sessions.list({ pageSize: 10 });
    const seconds = (time: "createTime" | "endTime") => sessions.map((session) => Number(session[time]!.seconds));
    expect(Math.max(...seconds("createTime"))).toBeLessThan(Math.min(...seconds("endTime")));

    const task = "[scenario: long-answer bytes=600000]";
    parent.play(tool("spawn_claude_container", { task, repository }));
    const long = (await parent.results(2)).at(-1)!;
    // Claude Code passes on 50,000 characters, and of more only the beginning.
    expect(long.length).toBeLessThan(50_000);
    expect(long).toMatch(/answer 00000250 .*\s+\[cut: 584000 characters follow; whole: claudecluster:.*\/answer/);
  },
);

test("a real Claude Code whose server is killed is told so, starts another one, and has the session's result of that", async () => {
  await using rig = await startHostRig();
  await using server = await PARENT_SERVERS.stdio(rig);
  await using parent = await startParent(rig, server);
  const task = "[scenario: long-run seconds=8 steps=4]";
  parent.play(
    tool("spawn_claude_container", { task, repository: rig.repository }),
    tool("list_sessions", {}),
    tool("wait_session", { session_id: "{{session}}" }),
  );
  const works = async () => {
    const { sessions } = await rig.sessions.list({ pageSize: 1 });
    expect(sessions[0]?.live?.changeCount).toBeGreaterThan(0);
  };
  await vi.waitFor(works, { timeout: 60_000, interval: 200 });
  const { stateDirectory } = rig.place.directories;
  const killed = runningProcesses().filter(
    ({ command, environment }) =>
      command.endsWith(" mcp") && environment.includes(`CLAUDECLUSTER_STATE_DIR=${stateDirectory}`),
  );
  expect(killed.length).toBe(1);
  process.kill(killed[0]!.pid, "SIGKILL");
  const [lost, listed, waited] = (await parent.results(1)).slice(-3);
  expect(lost).toContain("Connection closed");
  expect(listed).toMatch(/^of other projects, or of none:\nses_\w+ running/);
  expect(waited).toMatch(/^Session ses_\w+ succeeded[^]*All 4 steps are done/);
});

/** What the model was given for each call, newest last. */
function toolResults(claude: Claude): string[] {
  return claude.lines
    .filter(({ type }) => type === "user")
    .flatMap(({ message }) => (message as { content: { type: string; content: unknown }[] }).content)
    .filter(({ type }) => type === "tool_result")
    .map(({ content }) =>
      typeof content === "string" ? content : (content as { text?: string }[]).map(({ text }) => text ?? "").join("\n"),
    );
}
