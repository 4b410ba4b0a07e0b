import { readdir } from "node:fs/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { Session_State as State, type SessionSpecSchema, UserFileSchema } from "../../proto/index.ts";
import { type Attached, attach } from "./agent-rig.ts";
import { writeLeft } from "./artifacts.ts";
import { startLiveAgent } from "./live-agent.ts";
import { type SnapshotServer, startSnapshotServer } from "./snapshot-server.ts";

type Spec = Omit<MessageInitShape<typeof SessionSpecSchema>, "$typeName" | "$unknown">;

/** A setup keeps Claude from being started before it, and does nothing. */
const LATE = { setup: { command: "true", timeout: durationFromMs(60_000) } };

interface Case {
  spec?: Spec;
  /** Default: edits a file. */
  task?: string;
  /** What Claude is prepared for. Default: it is not prepared. */
  prepare?: Spec;
  /** Where the session's repository is. Default: it has none. */
  snapshot?: SnapshotServer | undefined;
  /** What the session before has changed. Default: there is none. */
  patch?: string | undefined;
}

/** What a session has asked the model, told, and left in Claude's home. Whatever it asks for is allowed. */
async function run({ spec = {}, task = "[scenario: small-edit]", prepare, snapshot, patch }: Case) {
  await using live = await startLiveAgent({ gitPort: snapshot?.port });
  const { client } = live.connection;
  const { repository, gitPrefixes = [] } = snapshot ?? {};
  if (prepare !== undefined) await client.prepareSession({ spec: prepare, gitPrefixes });
  expect(live.model.requests).toEqual([]);
  if (patch !== undefined) {
    await writeLeft(client, "ses_1", { conversationId: "", patch: Buffer.from(patch), transcript: Buffer.alloc(0) });
  }
  await live.start(task, { ...spec, ...(repository && { repository }) }, { gitPrefixes });
  await using owner = attach(live.connection);
  void allowAll(owner);
  await owner.done;
  expect((await live.session()).state).toBe(State.SUCCEEDED);
  const { claudeStarted, claudePrepared } = await owner.event("workspaceReady");
  const asked = live.model.requests.map(({ body, path }) =>
    masked(`${path} ${JSON.stringify(body)}`, live.rig.config.home),
  );
  // A late one has a setup, and when changes are told is a matter of time.
  const own = ["setupFinished", "commandOutput", "phaseChanged", "filePatched", "changesUpdated"];
  const told = owner.events.flatMap(({ event }) => (own.includes(event.case!) ? [] : [event.case!])).toSorted();
  const { home } = live.rig.config;
  const all = (await readdir(home, { recursive: true })).map((path) => masked(path, home)).toSorted();
  // Claude looks for what is old some time after it was started, which a short session does not see.
  const left = all.filter((path) => path !== ".claude/.last-cleanup");
  const { logged } = live.rig;
  const unused = logged.flatMap((line) => (line["msg"] === "the prepared Claude is not used" ? [line["reason"]] : []));
  return { asked, told, left, claudeStarted, claudePrepared, unused };
}

async function allowAll(owner: Attached): Promise<void> {
  const allowed = new Set<string>();
  try {
    for (;;) {
      const { requestId } = await owner.event("permissionRequested", ({ requestId }) => !allowed.has(requestId));
      owner.send({ case: "permissionDecision", value: { requestId, allow: true } });
      allowed.add(requestId);
    }
  } catch {
    // The session is over.
  }
}

/** Without what no two sessions have in common: ids of conversations and users, those that the model gives, and places. */
function masked(text: string, home: string): string {
  return text
    .replaceAll(home.slice(0, home.lastIndexOf("/")), "PLACE")
    .replaceAll(home.slice(0, home.lastIndexOf("/")).replaceAll(/[^A-Za-z0-9]/g, "-"), "PLACE")
    .replace(/(claude-|cc-socks-|CLAUDE_PID=|127\.0\.0\.1:|Port=|backup\.|duration_ms[:>]+ ?)\d+(\/\d+)?/g, "$1NUMBER")
    .replace(/plans\/[\w-]+/g, "plans/NAME")
    .replace(/\b(?:a[0-9a-f]{16}|[0-9a-f]{32})\b/g, "ID")
    .replace(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g, "UUID")
    .replace(/\b[0-9a-f]{64}\b/g, "HASH")
    .replace(/\btoolu_\w+/g, "TOOL");
}

const file = (path: string, text: string) => create(UserFileSchema, { path, data: Buffer.from(text) });
const hook = { type: "command", command: 'echo "HOOK $(pwd | sed s,.*/,,) $(git status --short | wc -l) $FOO"' };
const userFiles = {
  files: [
    file("CLAUDE.md", "Always greet in Greek.\n"),
    file("skills/x/SKILL.md", "---\nname: x\ndescription: A skill of the user\n---\nDo x.\n"),
    file("agents/y.md", "---\nname: y\ndescription: An agent of the user\n---\nDo y.\n"),
    file("commands/z.md", "Do z.\n"),
    file("settings.json", JSON.stringify({ hooks: { SessionStart: [{ hooks: [hook] }] } })),
  ],
};

const bash = (command: string) => ({ name: "Bash", input: { command, description: "Look around" } });
const calls = (...list: { name: string; input: unknown }[]) => `[scenario: call-tools ${JSON.stringify(list)}]`;
const around = bash("pwd; ls -A; ls -A ..; git status; env | sort | grep -v _PORT=");
const subagent = {
  subagent_type: "general-purpose",
  description: "edit",
  prompt: "[scenario: small-edit]",
  run_in_background: false,
};
const decisionTimeout = durationFromMs(0);

/** Compares the three ways, and what its first request has in it. */
async function compare({ prepare = {}, ...asked }: Case, tells: readonly string[]): Promise<void> {
  const late = await run({ ...asked, spec: { ...asked.spec, ...LATE } });
  const early = await run(asked);
  const prepared = await run({ ...asked, prepare });
  expect([late, early, prepared].map((session) => [session.claudeStarted, session.claudePrepared])).toEqual([
    [false, false],
    [true, false],
    [true, true],
  ]);
  expect(late.asked.length).toBeGreaterThan(1);
  for (const said of tells) expect(late.asked[0]).toContain(said);
  for (const waited of [early, prepared]) {
    expect(waited.asked).toEqual(late.asked);
    expect(waited.told).toEqual(late.told);
    expect(waited.left).toEqual(late.left);
  }
}

test.each<Case & { title: string; tells?: string[] }>([
  { title: "nothing more than a look around and a subagent", task: calls(around, { name: "Task", input: subagent }) },
  {
    title: "variables and files of the user's",
    spec: {
      environment: { FOO: "bar", GIT_AUTHOR_NAME: "Somebody", BASH_ENV: "/dev/null", LANG: "de_DE.UTF-8" },
      userFiles,
    },
    tells: ["Greek", "A skill of the user", "An agent of the user", "HOOK repo 0 bar"],
  },
  { title: "nobody to ask", spec: { permissionMode: "dontAsk", allowedTools: ["Edit", "Bash"] } },
  { title: "decisions", spec: { permissionMode: "default" }, task: calls(bash("touch made.txt"), around) },
  {
    title: "another mode and model",
    spec: { permissionMode: "acceptEdits", model: "opus" },
    prepare: { permissionMode: "default" },
  },
  {
    title: "a plan",
    spec: { permissionMode: "plan", decisionTimeout },
    prepare: { permissionMode: "default", decisionTimeout },
  },
])(
  "a Claude asks the same whether it was prepared, started beside the clone or after it, with $title",
  async ({ spec = {}, prepare = spec, tells = [], ...asked }) => await compare({ spec, prepare, ...asked }, tells),
);

test("so it does with a directory of a repository, and with what another session has changed", async () => {
  const files = { "CLAUDE.md": "Greet in Latin.\n", "sub/CLAUDE.md": "Say it twice.\n" };
  await using snapshot = await startSnapshotServer(files, { subdirectory: "sub" });
  const task = calls(bash("pwd; git status --short; cat ../note"));
  const patch =
    "diff --git a/note b/note\nnew file mode 100644\n--- /dev/null\n+++ b/note\n@@ -0,0 +1 @@\n+from before\n";
  const tells = ["Latin", "Say it twice", "workspace/repo/sub", "?? ../note", "starts from the result of another one"];
  await compare({ task, snapshot, patch, spec: { afterSessionId: "ses_0" } }, tells);
});

const data = Buffer.from("true");

test.each<{ reason: string; spec?: Spec; prepare?: Spec }>([
  { reason: "it has other variables", spec: { environment: { A: "1" } } },
  { reason: "it has other arguments", spec: { maxStepCount: 3 } },
  { reason: "it has other arguments", prepare: { permissionMode: "acceptEdits" } },
  { reason: "it has other files of the user's", spec: { userFiles: { files: [file("commands/z.md", "Do z.\n")] } } },
  {
    reason: "it has other files of the user's",
    spec: { userFiles: { files: [{ path: "hooks/x.sh", data, executable: true }] } },
    prepare: { userFiles: { files: [{ path: "hooks/x.sh", data }] } },
  },
  { reason: "the session's files come first", spec: LATE },
])("a session for which $reason has a Claude of its own", async ({ reason, spec = {}, prepare = {} }) => {
  const { claudePrepared, unused } = await run({ spec, prepare });
  expect([claudePrepared, unused]).toEqual([false, [reason]]);
});
