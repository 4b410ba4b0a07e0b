import { expect, test, vi } from "vitest";
import { byHeart } from "../model/by-heart.ts";
import { makeUser } from "../support/claude-user.ts";
import { expectScreen } from "../support/readme-screen.ts";
import { startRig } from "../support/rig.ts";
import type { Terminal } from "../support/terminal.ts";
import { DATA } from "../../host/mcp/tool-result.ts";

const call = (...calls: readonly (readonly [name: string, input: object])[]) =>
  `[scenario: call-tools output-tokens=500 ${JSON.stringify(calls.map(([name, input]) => ({ name, input })))}]`;
const ours = (name: string, input: object = {}) => [`mcp__claudecluster__${name}`, input] as const;
const npmTest = ["Bash", { command: "npm test", description: "Run the tests" }] as const;
const touch = (name: string) => ["Bash", { command: `touch ${name}`, description: `Make ${name}` }] as const;
const question = {
  question: "Which port shall it listen on?",
  header: "Port",
  multiSelect: false,
  options: [
    { label: "8080", description: "As most do" },
    { label: "9090", description: "As the other one does" },
  ],
};
const languages = {
  file_path: "/workspace/repo/src/languages.js",
  content: 'export const hello = { en: "Hello", fr: "Bonjour", de: "Hallo" };\n',
};

/** What the models say to whom, by what they are told. */
const SCRIPT = byHeart({
  "Have another Claude teach the greeter more languages.": call(
    ours("spawn_claude_container", { task: "Teach the greeter French and German." }),
    // Once it was interrupted it goes on here, with the next message.
    ours("list_sessions"),
  ),
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

test("a real Claude Code in its terminal shows what a session does, ends it by Esc, has a later one's result when it comes back, and a skill in its menu", async () => {
  await using rig = await startRig({ scenarios: [SCRIPT] });
  await using user = await makeUser(rig);
  {
    await using claude = await user.claude();
    await say(claude, "Have another Claude teach the greeter more languages.");
    await expectScreen("progress", await claude.shows(/1 file \$[\d.]+: tool: Bash npm test/));
    await claude.press("Escape");
    await claude.shows(/Interrupted/);
    await say(claude, "What has become of it?");
    await claude.shows(/(stopping|canceled), created .* 1 file changed/);
    await vi.waitFor(
      async () => {
        const listed = await rig.mcp.client.callTool({ name: "list_sessions", arguments: {} });
        expect(listed._meta?.[DATA]).toMatchObject({ sessions: [{ state: "canceled", change_count: 1 }] });
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
  await again.shows(/succeeded[^]*added made\.txt/);
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
  await using rig = await startRig({ scenarios: [SCRIPT] });
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
  await submit(claude, /│ command: touch refused/);
  await claude.press("Down");
  await claude.shows(/❯ +If not: what it is told/);
  await claude.press("Down");
  await claude.shows(/❯ Accept/);
  await claude.press("Right");
  await claude.shows(/❯ Decline/);
  await submit(claude, /Which port shall it listen on\?/);
  await claude.press("Right");
  await claude.shows(/❯ ◯ “8080”/);
  await claude.press("Down");
  await claude.shows(/❯ ◯ “9090”/);
  await claude.press("Enter");
  await claude.shows(/✔ .*9090/);
  await claude.press("Down");
  await claude.shows(/❯ Accept/);
  await submit(claude, /succeeded[^]*added allowed\.txt/);
  expect(await claude.screen()).not.toContain("added refused.txt");
  // As Claude Code tells the Claude in the container.
  const told = JSON.stringify(rig.model.requests.map(({ body }) => body));
  expect(/Which port shall it listen on\?[\\"]*=[\\"]*(\d+)/.exec(told)?.[1]).toBe("9090");
});

async function say(claude: Terminal, text: string): Promise<void> {
  await claude.type(text);
  // Together they would count as pasted, and Enter as a line's end in it.
  await claude.shows(new RegExp(`^❯.${text.replaceAll(/\W/g, "\\$&")}`, "m"));
  await claude.press("Enter");
}

/** Sends off a form, on whose button Enter has no effect as long as the form is very new. */
async function submit(claude: Terminal, next: RegExp): Promise<void> {
  await vi.waitFor(
    async () => {
      if (next.test(await claude.screen())) return;
      await claude.press("Enter");
      await claude.shows(next, 1_500);
    },
    { timeout: 30_000, interval: 10 },
  );
}
