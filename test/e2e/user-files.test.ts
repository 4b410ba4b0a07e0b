import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeRepository } from "../model/small-repository.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { eachEvent } from "../support/each-event.ts";
import { startMcpServer } from "../support/mcp-client.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

let rig: HostRig;
/** The user's own set-up for Claude Code. */
let own: string;

beforeAll(async () => {
  rig = await startHostRig();
  own = await mkdtemp(join(tmpdir(), "claudecluster-own-"));
  await writeRepository(own, {
    "CLAUDE.md": "My own rule 4711.\n",
    "skills/greet/SKILL.md": "---\nname: greet\ndescription: Greets people (skill 6622)\n---\nSay hello 6623.\n",
    "skills/greet/hello.sh": "#!/bin/sh\necho hello from the skill 6624\n",
    "skills/greet/.env": "TOKEN=never-to-be-seen\n",
    "agents/reviewer.md": "---\nname: reviewer\ndescription: Reviews (agent 8833)\n---\nYou review, prompt 8834.\n",
    "commands/shout.md": "---\ndescription: Shouts\n---\nShout, command 9944: $ARGUMENTS\n",
    "settings.json": JSON.stringify({
      hooks: { SessionStart: [{ hooks: [{ type: "command", command: "touch /tmp/my-hook" }] }] },
      env: { MY_FLAVOUR: "vanilla" },
    }),
    ".credentials.json": "never-to-be-seen",
  });
  await chmod(join(own, "skills/greet/hello.sh"), 0o755);
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await rm(own, { recursive: true });
});

const run = (task: string, ...flags: string[]) =>
  claudecluster(rig.place, ["run", task, "--json", ...flags], { env: { CLAUDE_CONFIG_DIR: own } });
const marker = (...calls: [name: string, input: object][]) =>
  `[scenario: call-tools ${JSON.stringify(calls.map(([name, input]) => ({ name, input })))}]`;
const bash = (command: string): [string, object] => ["Bash", { command, description: "x" }];
const requestsSince = (count: number) => JSON.stringify(rig.model.requests.slice(count).map(({ body }) => body));

async function outputsOf(id: string): Promise<string> {
  let printed = "";
  const signal = AbortSignal.timeout(30_000);
  for await (const { event } of eachEvent(rig.sessions.watch(id, { afterSequence: 0, signal }))) {
    if (event.case === "toolUseFinished") printed += `${event.value.output}\n`;
  }
  return printed;
}

const LIST = "ls -A ~/.claude; ~/.claude/skills/greet/hello.sh; ls /tmp/my-hook; echo flavour=$MY_FLAVOUR";
const NAMED = ["CLAUDE.md", "skills", "agents/reviewer.md", "commands/shout.md"].flatMap((name) => [
  "--user-file",
  name,
]);

test("what the user names of their own set-up counts inside, is shown, and counts after a continuation", async () => {
  const calls = marker(
    ["Skill", { skill: "greet" }],
    ["Task", { subagent_type: "reviewer", description: "review", prompt: "[scenario: small-edit]" }],
    bash(LIST),
  );
  const { code, stdout, stderr } = await run(`/shout ${calls}`, "-r", rig.repository, ...NAMED);
  expect(code, stderr).toBe(0);
  expect(stderr).toContain("CLAUDE.md, skills/greet, agents/reviewer.md, commands/shout.md");
  expect(stderr).toContain("left out: 1 that may hold secrets (skills/greet/.env)");
  expect(stderr).toContain("the user's own set-up is in place: 5 files");
  const { session_id: id, sent } = JSON.parse(stdout) as { session_id: string; sent: string };
  expect(sent).toContain("skills/greet");
  const asked = requestsSince(0);
  for (const text of [
    "My own rule 4711.",
    "skill 6622",
    "Say hello 6623.",
    "agent 8833",
    "prompt 8834",
    "command 9944",
  ])
    expect(asked, text).toContain(text);
  expect(asked).not.toContain("never-to-be-seen");
  const printed = await outputsOf(id);
  expect(printed).toContain("hello from the skill 6624");
  expect(printed).not.toMatch(/^(\.credentials\.json|settings\.json|\/tmp\/my-hook|flavour=vanilla)$/m);
  const { stdout: shown } = await claudecluster(rig.place, ["show", id]);
  expect(shown).toContain("agents/reviewer.md, commands/shout.md");

  const before = rig.model.requests.length;
  const more = await run(marker(bash(LIST)), "--continue", id);
  expect(more.code, more.stderr).toBe(0);
  const continued = JSON.parse(more.stdout) as { session_id: string; sent: string };
  expect(continued.sent).toContain("agents/reviewer.md");
  expect(requestsSince(before)).toContain("My own rule 4711.");
  expect(await outputsOf(continued.session_id)).toContain("hello from the skill 6624");
});

test("settings count where they are named, and nothing counts where nothing is", async () => {
  const before = rig.model.requests.length;
  const { stdout, stderr } = await run(marker(bash(LIST)), "--user-file", "settings.json", "--no-repository");
  const { session_id: id } = JSON.parse(stdout) as { session_id: string };
  expect(stderr).toContain("settings.json");
  const printed = await outputsOf(id);
  expect(printed).toContain("flavour=vanilla");
  expect(printed).toContain("/tmp/my-hook");
  const plain = await run(marker(bash(LIST)), "--no-repository");
  expect(requestsSince(before)).not.toContain("4711");
  expect((JSON.parse(plain.stdout) as { sent: string }).sent).not.toContain("set-up");
});

test("a parent names files of the user's set-up, and config.json does for sessions that do not say", async () => {
  await rig.place.configure({ base_url: rig.model.url, credential: { api_key: rig.key }, user_files: ["CLAUDE.md"] });
  await using mcp = await startMcpServer({ place: rig.place, env: { CLAUDE_CONFIG_DIR: own } });
  const sentBy = async (more: object) => {
    const before = rig.model.requests.length;
    const { summary } = await mcp.spawn({ task: marker(bash("true")), repository: "none", ...more });
    return { sent: summary!.sent, asked: requestsSince(before) };
  };
  const named = await sentBy({ user_files: ["agents/reviewer.md"] });
  expect(named.sent).toContain(": agents/reviewer.md");
  expect(named.asked).toContain("agent 8833");
  expect(named.asked).not.toContain("4711");
  expect((await sentBy({})).asked).toContain("My own rule 4711.");
  expect((await sentBy({ user_files: [] })).asked).not.toContain("4711");
  const refused = await mcp.call("spawn_claude_container", { task: "x", user_files: [".credentials.json"] });
  expect(refused.text).toMatch(/USER_FILE_INVALID.*Name "CLAUDE\.md"/);
});
