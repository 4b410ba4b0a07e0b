import { timestampMs } from "@bufbuild/protobuf/wkt";
import { expect, test, vi } from "vitest";
import {
  type DecisionTimeChanged,
  type Session,
  type SessionEvent,
  Session_State as State,
} from "../../proto/index.ts";
import { byHeart } from "../model/by-heart.ts";
import { makeUser } from "../support/claude-user.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { eachEvent } from "../support/each-event.ts";
import { press, say, told } from "../support/people.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

const call = (...calls: readonly object[]) => `[scenario: call-tools ${JSON.stringify(calls)}]`;
const ours = (name: string, input: object) => ({ name: `mcp__claudecluster__${name}`, input });
const spawn = (task: string, more: object = {}) =>
  ours("spawn_claude_container", { task, permission_mode: "default", ...more });
const touch = (name: string) => ({ name: "Bash", input: { command: `touch ${name}`, description: `Make ${name}` } });

/** What the models say to whom, by what they are told. */
const SCRIPT = byHeart({
  "Have one made, and do not wait long for me.": call(spawn("Make the late one.", { decision_timeout_seconds: 8 })),
  "Make the late one.": call(touch("late.txt")),
  "Have one made, which I allow elsewhere.": call(spawn("Make the other one.")),
  "Make the other one.": call(touch("elsewhere.txt")),
  "Have one made twice.": call(spawn("Make it twice.")),
  "Make it twice.": call(touch("twice.txt"), touch("twice.txt")),
  "Have one made, whatever happens.": call(spawn("Make it all the same.")),
  "Make it all the same.": call(touch("same.txt")),
  "Have a person asked.": call(spawn("Make the refused one.", { decision_policy: "person" })),
  "Make the refused one.": call(touch("refused.txt")),
  "Have somebody asked.": call(spawn("Make the waiting one."), ours("stop_session", { session_id: "{{session}}" })),
  "Make the waiting one.": call(touch("waiting.txt")),
});

const newest = async ({ sessions }: HostRig): Promise<Session> => (await sessions.list({ pageSize: 1 })).sessions[0]!;

const comesTo = (rig: HostRig, state: State) =>
  vi.waitFor(async () => expect((await newest(rig)).state).toBe(state), { timeout: 60_000, interval: 200 });

test("what nobody decides in time has its safe default, what somebody else decides goes on behind its form, and what is allowed for a session is asked once", async () => {
  await using rig = await startHostRig({ scenarios: [SCRIPT] });
  await using user = await makeUser(rig);
  await using claude = await user.claude();
  await say(claude, "Have one made, and do not wait long for me.");
  await claude.shows(/│ command: touch late/);
  await comesTo(rig, State.SUCCEEDED);
  await told(rig.model, /Nobody decided within 8 s, so this was denied\./);
  // Claude Code shows its form until somebody closes it.
  await press(claude, "Escape", /MCP task spawn\.ses_\w+[^]*completed\./);
  await told(rig.model, /decided by nobody:\\n *the permission to use Bash was denied: nobody decided within 8 s/);

  await say(claude, "Have one made, which I allow elsewhere.");
  await claude.shows(/│ command: touch elsewhere/);
  const allowed = await claudecluster(rig.place, ["allow", (await newest(rig)).id]);
  expect(allowed.code, allowed.stderr).toBe(0);
  await comesTo(rig, State.SUCCEEDED);
  await press(claude, "Escape", /^❯\s*$/m);
  await told(rig.model, /succeeded.*added elsewhere\.txt/);

  await say(claude, "Have one made twice.");
  await claude.shows(/│ command: touch twice/);
  await press(claude, "Right", /❯ ◯ Allow once/);
  await claude.press("Down");
  await claude.shows(/❯ ◯ Allow for this session/);
  await claude.press("Enter");
  await claude.shows(/✔ Decision: Allow for this session/);
  await claude.press("Down");
  await claude.shows(/❯ Accept/);
  await press(claude, "Enter", /^❯\s*$/m);
  await told(rig.model, /succeeded.*added twice\.txt/);
  expect((await newest(rig)).decidedRequestIds).toHaveLength(1);
});

test("without a terminal the session's policy decides, or the parent is told that it waits", async () => {
  await using rig = await startHostRig({ scenarios: [SCRIPT] });
  await using user = await makeUser(rig);
  await user.print("Have a person asked.");
  await told(rig.model, /Nobody can be asked, so this was denied\./);
  await told(
    rig.model,
    /decided by nobody:\\n *the permission to use Bash was denied: nobody could be asked, and the decision policy wants a person/,
  );
  await user.print("Have somebody asked.");
  await told(
    rig.model,
    /needs a decision:\\n *decide_permission with request_id.*A form was shown for this, and closed/,
  );
});

test("the time for a decision stands still while nobody could be asked, and goes on with the form when somebody can again", async () => {
  await using rig = await startHostRig({ scenarios: [SCRIPT] });
  await using user = await makeUser(rig);
  {
    await using claude = await user.claude();
    await say(claude, "Have one made, whatever happens.");
    await claude.shows(/│ command: touch same/);
    // The terminal is closed, and nobody says goodbye.
  }
  const endOf = async () => (await newest(rig)).pendingRequests[0]?.expireTime;
  await vi.waitFor(async () => expect(await endOf()).toBeUndefined(), { timeout: 30_000, interval: 100 });
  await using claude = await user.claude("--continue");
  await claude.shows(/│ command: touch same/);
  await vi.waitFor(async () => expect(await endOf()).toBeDefined(), { timeout: 30_000, interval: 100 });
  const { id } = await newest(rig);
  await press(claude, "Right", /❯ ◯ Allow once/);
  await claude.press("Enter");
  await claude.shows(/✔ Decision: Allow once/);
  await claude.press("Down");
  await claude.shows(/❯ Accept/);
  await press(claude, "Enter", /^❯\s*$/m);
  await told(rig.model, /succeeded.*added same\.txt/);

  const asked: SessionEvent[] = [];
  for await (const event of eachEvent(
    rig.sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(10_000) }),
  )) {
    if (event.event.case === "permissionRequested" || event.event.case === "decisionTimeChanged") asked.push(event);
  }
  const timeOf = (event?: SessionEvent) => timestampMs(event!.occurTime!);
  const ends = asked.map(({ event }) => {
    const { expireTime } = event.case === "permissionRequested" ? event.value : (event.value as DecisionTimeChanged).times[0]!; // prettier-ignore
    return expireTime && timestampMs(expireTime);
  });
  // It may begin to run with the first who could be asked.
  const ran = ends.findIndex((end) => end !== undefined);
  const stopped = ends.indexOf(undefined, ran);
  const goesOn = ends.findIndex((end, index) => index > stopped && end !== undefined);
  expect(ran).toBeGreaterThanOrEqual(0);
  expect(stopped).toBeGreaterThan(ran);
  expect(goesOn).toBeGreaterThan(stopped);
  const stoodMs = timeOf(asked[goesOn]) - timeOf(asked[stopped]);
  expect(stoodMs).toBeGreaterThan(0);
  expect(Math.abs(ends[goesOn]! - ends[stopped - 1]! - stoodMs)).toBeLessThan(1000);
});
