import { afterEach, beforeEach, expect, test } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import type { Files } from "../../test/git/random-trees.ts";
import { UserArea } from "../../test/git/user-area.ts";
import { finishWith } from "../../test/support/finished-session.ts";
import { onOlderNode } from "../../test/support/older-node.ts";
import { Plain } from "../../test/support/screen.ts";
import { compareCommand } from "./compare.ts";

const LINES = Array.from({ length: 20 }, (_, n) => `line ${n}\n`);
const START: Files = new Map([
  ["a.ts", { mode: "100644", content: LINES.join("") }],
  ["b.ts", { mode: "100644", content: "b\n" }],
]);
let area: UserArea;
let sessions: MemorySessions;
const stdout = () => new Plain();

beforeEach(() => {
  area = new UserArea(START);
  sessions = new MemorySessions();
});
afterEach(() => {
  sessions[Symbol.dispose]();
  area[Symbol.dispose]();
});

async function compare(ids: string[]): Promise<{ code: number; report: Record<string, unknown>; text: string }> {
  const io = {
    stdin: process.stdin,
    stdout: stdout(),
    stderr: stdout(),
    env: {},
    signal: new AbortController().signal,
  };
  const options = { sessionIds: ids, directory: area.directory };
  const code = await compareCommand(sessions, options, { json: true, stateDirectory: area.top }, io);
  const people = { ...io, stdout: stdout() };
  await compareCommand(sessions, options, { json: false, stateDirectory: area.top }, people);
  return { code, report: JSON.parse(io.stdout.text) as Record<string, unknown>, text: people.stdout.text };
}

const made = (texts: Record<string, string>) => finishWith(sessions, area, START, texts);

test("names what several have changed, what does not go together, and an order", async () => {
  const top = await made({ "a.ts": LINES.with(2, "top\n").join("") });
  const bottom = await made({ "a.ts": LINES.with(17, "bottom\n").join(""), "c.ts": "c\n" });
  const rival = await made({ "a.ts": LINES.with(2, "rival\n").join("") });
  const apart = await made({ "b.ts": "other\n" });
  const nothing = await made({});
  const before = area.state();
  const { code, report, text } = await compare([top, bottom, rival, apart, nothing]);
  expect(code).toBe(5);
  expect(report).toMatchObject({
    overlaps: [
      { session_ids: [top, bottom], paths: ["a.ts"] },
      { session_ids: [top, rival], paths: ["a.ts"], conflicts: [{ path: "a.ts" }] },
      { session_ids: [bottom, rival], paths: ["a.ts"] },
    ],
    order: [
      { session_id: apart },
      { session_id: bottom },
      { session_id: top },
      { session_id: rival, conflicts: ["a.ts"] },
    ],
    left_out: [{ session_id: nothing }],
  });
  expect(text).toContain(`claudecluster apply ${rival}  (then conflicts in a.ts)`);
  expect(text).toContain("  top\n  =======\n  rival\n");
  expect(area.state()).toEqual(before);
});

test("compares what started from different commits, and says where all go together", async () => {
  const first = await made({ "a.ts": LINES.with(2, "top\n").join("") });
  area.put(new Map([...START, ["later.ts", { mode: "100644", content: "x\n" }]]));
  area.git("add", "-A");
  area.git("commit", "-qm", "later");
  const later = new Map([...START, ["later.ts", { mode: "100644" as const, content: "x\n" }]]) as Files;
  const second = await finishWith(sessions, area, later, { "b.ts": "2\n" });
  const { code, report, text } = await compare([first, second]);
  expect([code, report["overlaps"]]).toEqual([0, []]);
  expect(text).toContain("No two have changed the same file.");
});

test("sessions are compared on the oldest Node", async () => {
  const ids = [await made({ "a.ts": "a\n" }), await made({ "b.ts": "c\n" })];
  expect(await onOlderNode(() => compare(ids))).toMatchObject({ code: 0 });
});
