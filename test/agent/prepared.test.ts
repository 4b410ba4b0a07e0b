import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { Session_State as State, type SessionSpecSchema, UserFileSchema } from "../../proto/index.ts";
import { attach } from "./agent-rig.ts";
import { startLiveAgent } from "./live-agent.ts";

type Spec = Omit<MessageInitShape<typeof SessionSpecSchema>, "$typeName" | "$unknown">;

const TASK = "[scenario: small-edit]";
/** A setup keeps Claude from being started before it, and does nothing. */
const LATE = { setup: { command: "true", timeout: durationFromMs(60_000) } };

/** What a session has asked the model, and told: with a Claude that was prepared for `prepare`, if any. */
async function run(spec: Spec, { prepare }: { prepare?: Spec } = {}) {
  await using live = await startLiveAgent();
  const { client } = live.connection;
  if (prepare !== undefined) await client.prepareSession({ spec: prepare });
  expect(live.model.requests).toEqual([]);
  await live.start(TASK, spec);
  await using owner = attach(live.connection);
  await owner.done;
  expect((await live.session()).state).toBe(State.SUCCEEDED);
  const { claudeStarted, claudePrepared } = await owner.event("workspaceReady");
  const asked = live.model.requests.map(({ body, path }) =>
    masked(`${path} ${JSON.stringify(body)}`, live.rig.config.home),
  );
  // A late one has a setup, and when changes are told is a matter of time.
  const own = ["setupFinished", "commandOutput", "phaseChanged", "filePatched", "changesUpdated"];
  const told = owner.events.flatMap(({ event }) => (own.includes(event.case!) ? [] : [event.case!])).toSorted();
  const { logged } = live.rig;
  const unused = logged.flatMap((line) => (line["msg"] === "the prepared Claude is not used" ? [line["reason"]] : []));
  return { asked, told, claudeStarted, claudePrepared, unused };
}

/** Without what no two sessions have in common: ids of conversations and users, those that the model gives, and places. */
function masked(text: string, home: string): string {
  return text
    .replaceAll(home.slice(0, home.lastIndexOf("/")), "PLACE")
    .replaceAll(home.slice(0, home.lastIndexOf("/")).replaceAll(/[^A-Za-z0-9]/g, "-"), "PLACE")
    .replace(/claude-\d+/g, "USER")
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

test.each<{ title: string; spec: Spec; tells?: string[]; prepare?: Spec }>([
  { title: "nothing more", spec: {} },
  {
    title: "variables",
    spec: { environment: { FOO: "bar", GIT_AUTHOR_NAME: "Somebody", BASH_ENV: "/dev/null", LANG: "de_DE.UTF-8" } },
  },
  {
    title: "files of the user's",
    spec: { userFiles },
    tells: ["Greek", "A skill of the user", "An agent of the user", "HOOK repo 0"],
  },
  { title: "nobody to ask", spec: { permissionMode: "dontAsk", allowedTools: ["Edit", "Bash"] } },
  {
    title: "another mode and model",
    spec: { permissionMode: "acceptEdits", model: "opus" },
    prepare: { permissionMode: "default" },
  },
])(
  "a Claude asks the same whether it was prepared, started beside the clone or after it, with $title",
  async ({ spec, prepare = spec, tells = [] }) => {
    const late = await run({ ...spec, ...LATE });
    const early = await run(spec);
    const prepared = await run(spec, { prepare });
    expect([late, early, prepared].map((session) => [session.claudeStarted, session.claudePrepared])).toEqual([
      [false, false],
      [true, false],
      [true, true],
    ]);
    expect(late.asked.length).toBeGreaterThan(1);
    for (const said of tells) expect(late.asked[0]).toContain(said);
    expect(early.asked).toEqual(late.asked);
    expect(prepared.asked).toEqual(late.asked);
    expect(early.told).toEqual(late.told);
    expect(prepared.told).toEqual(late.told);
  },
);

test.each<{ reason: string; spec?: Spec; prepare?: Spec }>([
  { reason: "it has other variables", spec: { environment: { A: "1" } } },
  { reason: "it has other arguments", spec: { maxStepCount: 3 } },
  { reason: "it has other arguments", prepare: { permissionMode: "acceptEdits" } },
  { reason: "it has other files of the user's", spec: { userFiles: { files: [file("commands/z.md", "Do z.\n")] } } },
  { reason: "the session's files come first", spec: LATE },
])("a session for which $reason has a Claude of its own", async ({ reason, spec = {}, prepare = {} }) => {
  const { claudePrepared, unused } = await run(spec, { prepare });
  expect([claudePrepared, unused]).toEqual([false, [reason]]);
});
