import { expect, test, vi } from "vitest";
import { byHeart } from "../model/by-heart.ts";
import { makeUser } from "../support/claude-user.ts";
import { openTask, press, say, told } from "../support/people.ts";
import { question } from "../support/port-question.ts";
import { expectScreen } from "../support/readme-screen.ts";
import { startHostRig } from "../support/rig.ts";

const call = (...calls: readonly (readonly [name: string, input: object])[]) =>
  `[scenario: call-tools output-tokens=500 ${JSON.stringify(calls.map(([name, input]) => ({ name, input })))}]`;
const ours = (name: string, input: object = {}) => [`mcp__claudecluster__${name}`, input] as const;
const npmTest = ["Bash", { command: "npm test", description: "Run the tests" }] as const;
const touch = (name: string) => ["Bash", { command: `touch ${name}`, description: `Make ${name}` }] as const;
const languages = {
  file_path: "/workspace/repo/src/languages.js",
  content: 'export const hello = { en: "Hello", fr: "Bonjour", de: "Hallo" };\n',
};

/** What the models say to whom, by what they are told. */
const SCRIPT = byHeart({
  "Have another Claude teach the greeter more languages.": call(
    ours("spawn_claude_container", { task: "Teach the greeter French and German." }),
  ),
  "What has become of it?": call(ours("list_sessions")),
  "Teach the greeter French and German.": call(["Write", languages], ...Array.from({ length: 20 }, () => npmTest)),
  "Start one that makes a file, and do not wait.": call(
    ours("spawn_claude_container", { task: "Make a file.", wait: false }),
  ),
  "Have some files made, and ask me.": call(
    ours("spawn_claude_container", { task: "Make some files.", permission_mode: "default" }),
  ),
  "Make some files.": call(touch("allowed.txt"), touch("refused.txt"), ["AskUserQuestion", { questions: [question] }]),
  "Make a file.": call(["Bash", { command: "touch made.txt", description: "Make a file" }]),
  // As the skill's text begins.
  "What is to be done: Welsh": call(ours("list_sessions")),
  "What has it come to?": call(ours("wait_session", { session_id: "{{session}}" })),
});

test("a real Claude Code in its terminal has a spawn as a task, shows what its session does, ends it by x, has a later one's result when it comes back, and a skill in its menu", async () => {
  await using rig = await startHostRig({ scenarios: [SCRIPT] });
  await using user = await makeUser(rig);
  {
    await using claude = await user.claude();
    await say(claude, "Have another Claude teach the greeter more languages.");
    await openTask(claude);
    const screen = await claude.shows(/working · \S+ 1 file \$[\d.]+: tool: Bash npm test/);
    await expectScreen("progress", /^ *claudecluster\/spawn[^]*/m.exec(screen)![0]);
    await claude.press("x");
    await claude.shows(/No tasks currently running/);
    await press(claude, "Escape", /^❯\s*$/m);
    await say(claude, "What has become of it?");
    await claude.shows(/(stopping|canceled)[^]*, created [^]* 1 file changed/);
    await vi.waitFor(
      async () => {
        const { sessions } = await rig.sessions.list({});
        expect(sessions).toMatchObject([{ result: { changeCount: 1, outcome: { case: "cancellation" } } }]);
      },
      { timeout: 30_000, interval: 200 },
    );

    await say(claude, "Start one that makes a file, and do not wait.");
    await claude.shows(/(?:queued|preparing)[^]*next: wait_session/);
    await say(claude, "/exit");
    await claude.ended();
  }
  await using again = await user.claude("--continue");
  await say(again, "What has it come to?");
  // By the call, or by its task.
  await told(rig.model, /succeeded.*added made\.txt/);
  await again.type("/fan-out");
  await again.shows(/claudecluster:fan-out.*\(MCP\)|mcp__claudecluster__fan-out/);
  // The first takes it from the menu, the second starts it.
  await again.press("Enter");
  await again.shows(/^❯.\/mcp__claudecluster__fan-out /m);
  await again.type("Welsh");
  await again.shows(/fan-out Welsh/);
  await again.press("Enter");
  await again.shows(/fan-out Welsh[^]*succeeded, created/);
});

test("a person allows, refuses and answers by keys what a session asks for, in the forms of a real Claude Code", async () => {
  await using rig = await startHostRig({ scenarios: [SCRIPT] });
  await using user = await makeUser(rig);
  await using claude = await user.claude();
  await say(claude, "Have some files made, and ask me.");
  await claude.shows(
    /on “project” wants to use “Bash”\.\n *Why, in its words: “Make allowed\.txt”\n *│ command: touch allowed/,
  );
  // It takes keys once it is drawn.
  await claude.press("Right");
  await claude.shows(/❯ ◯ Allow once/);
  await expectScreen("form", /^ *MCP server[^]*/m.exec(await claude.screen())![0]);
  await claude.press("Enter");
  await claude.shows(/✔ Decision: Allow once/);
  await claude.press("Down");
  await claude.shows(/❯ Accept/);
  await press(claude, "Enter", /│ command: touch refused/);
  await claude.press("Down");
  await claude.shows(/❯ +If not: what it is told/);
  await claude.press("Down");
  await claude.shows(/❯ Accept/);
  await claude.press("Right");
  await claude.shows(/❯ Decline/);
  await press(claude, "Enter", /Which port shall it listen on\?/);
  await claude.press("Right");
  await claude.shows(/❯ ◯ “8080”/);
  await claude.press("Down");
  await claude.shows(/❯ ◯ “9090”/);
  await claude.press("Enter");
  await claude.shows(/✔ .*9090/);
  await claude.press("Down");
  await claude.shows(/❯ Accept/);
  await press(claude, "Enter", /MCP task spawn\.ses_\w+[^]*completed\./);
  await told(rig.model, /<status>completed<\/status>.*succeeded.*changes \(1 file\):\\n  added allowed\.txt/);
  // As Claude Code tells the Claude in the container.
  await told(rig.model, /Which port shall it listen on\?[\\"]*=[\\"]*9090/);
});
