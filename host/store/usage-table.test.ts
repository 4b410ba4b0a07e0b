import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { UsageDimension } from "../../proto/control.ts";
import {
  MeteredUsageSchema,
  RepositorySpecSchema,
  Session_State,
  SessionSpecSchema,
  SessionStartedSchema,
} from "../../proto/index.ts";
import { entered, finished, NEW } from "../../test/support/stored-sessions.ts";
import { SqliteStore } from "./sqlite-store.ts";

const usage = (costUsd: number) => create(MeteredUsageSchema, { requestCount: 1, inputTokenCount: 10n, costUsd });

function begin(store: SqliteStore, sessionId: string, uri: string, caller = ""): void {
  const spec = create(SessionSpecSchema, { repository: create(RepositorySpecSchema, { uri }) });
  const value = create(SessionStartedSchema, { sessionId, spec, caller });
  store.createSession(sessionId, { ...NEW, events: [{ event: { case: "sessionStarted", value }, occurTimeMs: 1 }] });
}

test("usage is told apart by day, repository, model, state and caller, also once a session is removed", async () => {
  using store = SqliteStore.open(":memory:");
  begin(store, "ses_a", "https://example.com/a");
  begin(store, "ses_b", "https://example.com/b", "ci");
  begin(store, "ses_none", "https://example.com/b");
  store.usage.add("ses_a", "2026-11-01", usage(1), "claude-opus-5");
  store.usage.add("ses_a", "2026-11-02", usage(2), "claude-opus-5");
  store.usage.add("ses_a", "2026-11-02", usage(4), "claude-haiku-5-5");
  store.usage.add("ses_b", "2026-11-02", usage(8), "claude-opus-5");
  const sums = (...names: ("day" | "repository" | "model" | "state" | "caller")[]) =>
    store.usage
      .report({ by: names.map((name) => UsageDimension[name.toUpperCase() as "DAY"]) })
      .map((row) => [...names.map((name) => row[name]), row.sessionCount, row.usage?.costUsd]);

  expect(sums()).toEqual([[2, 15]]);
  expect(sums("day")).toEqual([
    ["2026-11-01", 1, 1],
    ["2026-11-02", 2, 14],
  ]);
  expect(sums("model", "day")).toEqual([
    ["claude-haiku-5-5", "2026-11-02", 1, 4],
    ["claude-opus-5", "2026-11-01", 1, 1],
    ["claude-opus-5", "2026-11-02", 2, 10],
  ]);
  expect(store.usage.report({ by: [], firstDay: "2026-11-01", lastDay: "2026-11-01" })[0]).toMatchObject({
    sessionCount: 1,
    usage: { requestCount: 1, inputTokenCount: 10n, costUsd: 1 },
  });

  for (const id of ["ses_b", "ses_none"]) {
    store.append(id, [finished()]);
    await store.deleteSession(id);
  }
  expect(store.getSession("ses_b")).toBeUndefined();
  expect(sums("repository", "caller", "state")).toEqual([
    ["https://example.com/a", "", Session_State.QUEUED, 1, 7],
    ["https://example.com/b", "ci", Session_State.SUCCEEDED, 1, 8],
  ]);
  expect(store.usage.report({ by: [UsageDimension.DAY], firstDay: "2027-01-01" })).toEqual([]);
  expect(store.usage.report({ by: [], firstDay: "2027-01-01" })).toMatchObject([{ sessionCount: 0 }]);
});

test("what is known of removed sessions goes with their usage", async () => {
  using store = SqliteStore.open(":memory:");
  begin(store, "ses_a", "https://example.com/a");
  store.usage.add("ses_a", "2026-11-01", usage(1));
  store.append("ses_a", [entered(1, Session_State.RUNNING), finished()]);
  await store.deleteSession("ses_a");
  await store.prune({ nowMs: Date.parse("2027-11-30") });
  expect(store.usage.report({ by: [UsageDimension.REPOSITORY] })).toHaveLength(1);
  await store.prune({ nowMs: Date.parse("2027-12-30") });
  expect(store.usage.report({ by: [UsageDimension.REPOSITORY] })).toEqual([]);
});
