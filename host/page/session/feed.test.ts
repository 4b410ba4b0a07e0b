import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { type EventBody, FileChange_Kind, Phase, type SessionEvent, SessionEventSchema } from "../../../proto/index.ts";
import { recordedSession } from "../../../test/support/recorded-session.ts";
import { Connections } from "./connections.ts";
import { Feed, type FeedEntry } from "./feed.ts";
import { UsageOverTime } from "./usage.ts";

let sequence = 0;
const event = (of: object, timeMs = 1000): SessionEvent =>
  create(SessionEventSchema, {
    sequence: ++sequence,
    occurTime: timestampFromMs(timeMs),
    event: of as EventBody,
  });
const bytes = (text: string) => new TextEncoder().encode(text);

function feedOf(events: readonly SessionEvent[]): Feed {
  const feed = new Feed();
  for (const each of events) feed.add(each);
  return feed;
}

const told = ({ kind, title, subject, state, texts }: FeedEntry) =>
  [kind, title, subject, state, texts.map(({ label, text }) => (label === "" ? text : `${label}: ${text}`))] as const;

test("a recorded session's feed has one entry for each thing that happened, with what came of it", () => {
  const { entries } = feedOf(recordedSession());
  const of = (kind: string) => entries.filter((entry) => entry.kind === kind).map(told);
  expect(of("message").map(([, title, , , texts]) => [title, ...texts])).toEqual([
    ["Task", "Greet the world"],
    ["Message", "Also say goodbye"],
    ["Message", "Enough"],
  ]);
  expect(of("tool").map(([, , subject, state]) => [subject, state])).toEqual([
    ["Read README.md", "good"],
    ["Bash echo hello > greeting.txt", "good"],
    ["Bash rm -rf /", "bad"],
    [expect.stringMatching(/^AskUserQuestion /), "good"],
    ["Bash sleep 0.3; echo one", "good"],
    ["Bash sleep 0.2; exit 3", "bad"],
    ["Bash curl -sS https://example.com/", "bad"],
    ["Bash sleep 20", "bad"],
  ]);
  expect(of("tool")[1]![4]).toEqual([
    'input: {"command":"echo hello > greeting.txt","description":"Write the greeting"}',
    "output: (Bash completed with no output)",
  ]);
  expect(of("decision").map(([, title, subject, state]) => [title, subject, state])).toEqual([
    ["Permission given", "Bash echo hello > greeting.txt", "good"],
    ["Permission denied", "Bash rm -rf /", "bad"],
    ["Question answered", "Which greeting?", "good"],
    ["Permission given", "Bash sleep 0.2; exit 3", "good"],
    ["Permission given", "Bash curl -sS https://example.com/", "good"],
  ]);
  expect(of("decision")[1]![4].at(-1)).toBe("Claude was told: Never that.");
  expect(of("decision")[2]![4]).toEqual(["offers: Hello: Use Hello\nBonjour: Use Bonjour", "answer: Bonjour"]);
  expect(of("change")).toEqual([["change", "File changed", "A greeting.txt +1 -0", "", []]]);
  expect(of("network")).toEqual([["network", "Connection refused", "example.com:443: not on the list", "bad", []]]);
  expect(of("output")).toEqual([["output", "Output of the setup", "", "", ["setting up\nmore\n"]]]);
  expect(of("end")).toEqual([["end", "Session", "canceled: Enough of it", "", []]]);
  expect(entries.filter(({ title }) => title === "Repository").map(({ subject }) => subject)).toEqual([
    "clone: Receiving objects 100%",
  ]);
  expect(entries.find(({ title }) => title === "Turn 2 was interrupted")?.elapsedMs).toBe(1062);
  expect(entries.find(({ subject }) => subject === "Bash sleep 20")?.elapsedMs).toBe(1020);
});

test("output that comes in pieces is one text, also where a character is in two, until it is long", () => {
  const data = bytes("größe");
  const { entries } = feedOf([
    event({ case: "stderrOutput", value: { data: data.subarray(0, 3) } }),
    event({ case: "usageUpdated", value: {} }),
    event({ case: "stderrOutput", value: { data: data.subarray(3) } }),
    event({ case: "commandOutput", value: { phase: Phase.CHECK, data: bytes("ok") } }),
    ...Array.from({ length: 4 }, () => event({ case: "stderrOutput", value: { data: bytes("x".repeat(30_000)) } })),
  ]);
  expect(entries.map(({ title, texts }) => [title, texts[0]!.text.length])).toEqual([
    ["Claude Code's standard error", 5],
    ["Output of the check", 2],
    ["Claude Code's standard error", 60_000],
    ["Claude Code's standard error", 60_000],
  ]);
  expect(entries[0]!.texts[0]!.text).toBe("größe");
});

test("a file that changes again and again is one entry until something else happens", () => {
  const patched = (path: string, addedLineCount: number) =>
    event({
      case: "filePatched",
      value: { change: { path, kind: FileChange_Kind.MODIFIED, addedLineCount }, partCount: 1 },
    });
  const { entries } = feedOf([
    patched("a", 1),
    patched("a", 2),
    patched("b", 1),
    patched("a", 3),
    event({ case: "assistantText", value: { text: "so" } }),
    patched("a", 4),
  ]);
  expect(entries.map(({ subject }) => subject)).toEqual(["M a +2 -0", "M b +1 -0", "M a +3 -0", "", "M a +4 -0"]);
});

test("what Claude leaves undone when the session ends does not seem to go on, and what never began is told", () => {
  const { entries } = feedOf([
    event({ case: "toolUseStarted", value: { toolUseId: "a", name: "Bash", inputJson: "{" } }),
    event({ case: "permissionRequested", value: { requestId: "r", toolName: "Bash", inputJson: "{}" } }),
    event({ case: "toolUseFinished", value: { toolUseId: "other", output: "late" } }),
    event({
      case: "sessionFinished",
      value: { result: { outcome: { case: "failure", value: { reason: "OUT_OF_MEMORY", message: "No memory." } } } },
    }),
  ]);
  expect(entries.map(told)).toEqual([
    ["tool", "Tool", "Bash {", "", ["input: {"]],
    ["decision", "Asks for permission", "Bash {}", "", ["input: {}"]],
    ["tool", "Tool", "", "good", ["output: late"]],
    ["end", "Session", "failed: OUT_OF_MEMORY", "bad", ["No memory."]],
  ]);
});

test("a flood of events costs bounded memory: the oldest texts go first, then the oldest entries", () => {
  const feed = new Feed();
  const text = "x".repeat(60_000);
  for (let index = 0; index < 1500; index++) feed.add(event({ case: "assistantText", value: { text } }));
  const kept = feed.entries.reduce((sum, { texts }) => sum + texts[0]!.text.length, 0);
  expect(kept).toBeLessThanOrEqual(64 * 1024 * 1024);
  expect(feed.entries[0]!.texts[0]).toMatchObject({ text: "", dropped: true });
  expect(feed.entries.at(-1)!.texts[0]).toMatchObject({ text, dropped: false });
  for (let index = 0; index < 200_000; index++) feed.add(event({ case: "assistantText", value: { text: "y" } }));
  expect(feed.entries.length).toBeLessThanOrEqual(200_000);
  expect(feed.droppedCount + feed.entries.length).toBe(201_500);
});

test("entries that are gone take no room from those that are kept", () => {
  const feed = new Feed();
  const text = "x".repeat(300);
  for (let index = 0; index < 340_000; index++) feed.add(event({ case: "assistantText", value: { text } }));
  expect(feed.droppedCount).toBeGreaterThan(100_000);
  expect(feed.entries.filter(({ texts }) => texts[0]!.dropped)).toEqual([]);
});

test("connections are told by where to, those that were refused first, and counted however many there are", () => {
  const connections = new Connections();
  const decided = (destination: string, allowed: boolean) =>
    event({ case: "egressDecided", value: { destination, allowed, reason: allowed ? "" : "not on the list" } });
  for (const each of [decided("a:443", true), decided("b:443", false), decided("a:443", true)]) connections.add(each);
  expect(connections.list()).toMatchObject([
    { destination: "b:443", allowed: false, reason: "not on the list", count: 1 },
    { destination: "a:443", allowed: true, count: 2 },
  ]);
  for (let index = 0; index < 2000; index++) connections.add(decided(`${index}:1`, false));
  expect(connections.list()).toHaveLength(1000);
  expect(connections).toMatchObject({ allowedCount: 2, refusedCount: 2001, otherCount: 1002 });
});

test("use over time is what the host has counted, and where no event tells that, what Claude Code says at each turn's end", () => {
  const usage = new UsageOverTime();
  for (const each of recordedSession()) usage.add(each);
  expect(usage.points.map(({ tokens, costUsd }) => [tokens, costUsd])).toEqual([
    [247, 0.0038199999999999996],
    [271, 0.00414],
    [438, 0.00732],
  ]);
  const answered = (tokens: bigint, costUsd: number) => ({
    case: "modelAnswered",
    value: { usage: { inputTokenCount: tokens, cacheReadTokenCount: 1n, costUsd } },
  });
  usage.add(event(answered(10n, 0.5), 2000));
  usage.add(event(answered(20n, 0.25), 3000));
  expect(usage.points).toEqual([
    { timeMs: 2000, tokens: 11, costUsd: 0.5 },
    { timeMs: 3000, tokens: 32, costUsd: 0.75 },
  ]);
});
