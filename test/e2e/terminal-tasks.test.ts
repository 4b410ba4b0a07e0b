import { expect, test, vi } from "vitest";
import { byHeart } from "../model/by-heart.ts";
import { makeUser } from "../support/claude-user.ts";
import { PARENT_SERVERS } from "../support/parent-servers.ts";
import { openTask, press, say, told } from "../support/people.ts";
import { question } from "../support/port-question.ts";
import { runningProcesses } from "../support/processes.ts";
import { startHostRig } from "../support/rig.ts";

const call = (...calls: readonly object[]) => `[scenario: call-tools ${JSON.stringify(calls)}]`;
const spawning = (input: object) => ({ name: "mcp__claudecluster__spawn_claude_container", input });
const spawn = (input: object) => call(spawning(input));
const bash = (command: string) => ({ name: "Bash", input: { command, description: "Do it" } });

const SCRIPT = byHeart({
  "Have a file made, and ask me about the port.": spawn({ task: "Make a file and ask." }),
  "Make a file and ask.": call(bash("touch made.txt"), { name: "AskUserQuestion", input: { questions: [question] } }),
  "Have something slow done.": spawn({ task: "Do something slow." }),
  "Do something slow.": call(bash("touch slow.txt"), ...Array.from({ length: 20 }, () => bash("npm test"))),
  "<command-name>/mcp": "[scenario: long-answer bytes=10]",
  "Have two things done.": call([spawning({ task: "Do one thing." }), spawning({ task: "Do the other thing." })]),
  "Do one thing.": call(bash("touch one.txt"), ...Array.from({ length: 4 }, () => bash("npm test"))),
  "Do the other thing.": "[scenario: long-answer bytes=600000]",
  "Give it up.": call({ name: "TaskStop", input: { task_id: "{{task}}" } }),
});

test.each(["stdio", "http"] as const)(
  "a task by %s outlives its server and Claude Code, and asks and tells what it asks and tells when that is back",
  async (transport) => {
    await using rig = await startHostRig({ scenarios: [SCRIPT] });
    await using server = await PARENT_SERVERS[transport](rig);
    await using user = await makeUser(rig, server.entry);
    {
      await using claude = await user.claude();
      await say(claude, "Have a file made, and ask me about the port.");
      await claude.shows(/asks:\n *│ Which port shall it listen on\?[^]*Esc to answer later/);
      await press(claude, "Escape", /needs your input/);
      await openTask(claude);
      await claude.shows(/input required · .*\n[^]*The server is waiting for your answer/);
      await press(claude, "Escape", /^❯\s*$/m);
      await say(claude, "/exit");
      // Over HTTP it does not ask.
      await claude.shows(/Exit and stop tasks|claude --resume/);
      await claude.press("Enter");
      await claude.ended();
    }
    await server.restart();
    await using claude = await user.claude("--continue");
    await claude.shows(/asks:\n *│ Which port shall it listen on\?/);
    await press(claude, "Right", /❯ ◯ “8080”/);
    await claude.press("Down");
    await claude.shows(/❯ ◯ “9090”/);
    await claude.press("Enter");
    await claude.shows(/✔ .*9090/);
    await claude.press("Down");
    await claude.shows(/❯ Accept/);
    await press(claude, "Enter", /MCP task spawn\.ses_\w+[^]*completed\./);
    await told(rig.model, /<status>completed<\/status>.*succeeded.*=[\\"]*9090.*added made\.txt/);
  },
);

test("a model that stops a task ends its session, whose changes are kept", async () => {
  await using rig = await startHostRig({ scenarios: [SCRIPT] });
  await using server = await PARENT_SERVERS.stdio(rig);
  await using user = await makeUser(rig, server.entry);
  await using claude = await user.claude();
  await say(claude, "Have something slow done.");
  const works = async () => expect((await rig.sessions.list({})).sessions[0]?.live?.changeCount).toBe(1);
  await vi.waitFor(works, { timeout: 60_000, interval: 200 });
  await say(claude, "Give it up.");
  const ended = async () =>
    expect((await rig.sessions.list({})).sessions[0]).toMatchObject({
      result: { changeCount: 1, outcome: { case: "cancellation" } },
    });
  await vi.waitFor(ended, { timeout: 30_000, interval: 200 });
});

test("tasks run side by side, and tell their results, a long one cut, once their killed server is back", async () => {
  await using rig = await startHostRig({ scenarios: [SCRIPT] });
  await using server = await PARENT_SERVERS.stdio(rig);
  await using user = await makeUser(rig, server.entry);
  await using claude = await user.claude();
  await say(claude, "Have two things done.");
  await claude.shows(/2 MCP tasks/);
  const own = `CLAUDECLUSTER_STATE_DIR=${rig.place.directories.stateDirectory}`;
  const [front] = runningProcesses().filter(
    ({ command, environment }) => command.endsWith(" mcp") && environment.includes(own),
  );
  process.kill(front!.pid, "SIGKILL");
  await press(claude, "Down", /enter to view tasks/);
  await press(claude, "Enter", /Esc to close/);
  await claude.shows(/working · .*reconnecting…\n.*working · .*reconnecting…/);
  await press(claude, "Escape", /^❯\s*$/m);
  await say(claude, "/mcp reconnect claudecluster");
  await told(rig.model, /<status>completed<\/status>.*succeeded.*added one\.txt/);
  await told(rig.model, /<status>completed<\/status>.*succeeded.*answer 00000250.*\[cut: 584000 characters follow/);
});
