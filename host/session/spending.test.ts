import { create } from "@bufbuild/protobuf";
import { expect, onTestFinished, test, vi } from "vitest";
import {
  type BudgetReached,
  BudgetReached_Scope,
  BudgetSchema,
  type MeteredUsage,
  MeteredUsageSchema,
  tighterBudget,
} from "../../proto/index.ts";
import type { UsageStore } from "../store/session-store.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { storeError } from "../store/store-error.ts";
import { Reservations } from "./reservations.ts";
import { Spending } from "./spending.ts";

const usage = (costUsd: number) =>
  create(MeteredUsageSchema, { requestCount: 1, inputTokenCount: 10n, outputTokenCount: 5n, costUsd });

function openStore(): SqliteStore {
  const store = SqliteStore.open(":memory:");
  onTestFinished(() => store[Symbol.dispose]());
  return store;
}

function spend({
  session = {},
  day = {},
  wanted = {},
  sessionId = "ses_a",
  store = openStore(),
  usage = store.usage as UsageStore,
  reservations = new Reservations(),
}) {
  const events: BudgetReached[] = [];
  const budgets = { session: create(BudgetSchema, session), day: create(BudgetSchema, day) };
  const spending = new Spending({
    sessionId,
    usage,
    reservations,
    budgets,
    wanted: create(BudgetSchema, wanted),
    onReached: (event) => events.push(event),
  });
  return { spending, events, store };
}

test.each([
  [{ maxCostUsd: 0.5 }, "The session's budget of $0.50 is used up ($0.60)."],
  [{ maxTokenCount: 30n }, "The session's budget of 30 tokens is used up (30)."],
  [{ maxRequestCount: 2 }, "The session's budget of 2 model requests is used up (2)."],
])("refuses the next request once a bound is reached: %o", (session, sentence) => {
  const { spending, events } = spend({ session });
  spending.add(usage(0.3));
  expect(spending.refusal()).toBeUndefined();
  expect(spending.failure()).toBeUndefined();
  spending.add(usage(0.3));
  // Said when it is reached, and once.
  expect(events).toMatchObject([{ scope: BudgetReached_Scope.SESSION, limit: session, used: { requestCount: 2 } }]);
  expect(spending.refusal()).toBe(sentence);
  expect(events).toHaveLength(1);
  expect(spending.failure()).toMatchObject({
    reason: "BUDGET_REACHED",
    message: expect.stringContaining(sentence) as string,
  });
});

test.each([
  [{ maxRequestCount: 1 }, {}, "with a higher budget, within"],
  [{ maxRequestCount: 9 }, { maxRequestCount: 1 }, "That is the host's session_budget"],
  [{ maxTokenCount: 10n }, { maxTokenCount: 99n }, "with a higher budget, within"],
])("says whose bound was reached: %o wanted of %o", (wanted, session, help) => {
  const { spending } = spend({ wanted, session });
  spending.add(usage(0.3));
  expect(spending.failure()?.message).toContain(help);
});

test("asks the store but once what a session has used", () => {
  const store = openStore();
  store.usage.add("ses_a", "2026-11-23", usage(0.5));
  const asked = vi.spyOn(store.usage, "ofSession");
  const { spending } = spend({ store, session: { maxCostUsd: 9 } });
  expect(spending.used).toMatchObject({ requestCount: 1, costUsd: 0.5 });
  for (const costUsd of [0.25, 0.25]) spending.add(usage(costUsd));
  expect(spending.used).toMatchObject({ requestCount: 3, costUsd: 1 });
  expect(asked).toHaveBeenCalledTimes(1);
});

const never = { signal: new AbortController().signal };

test.each([[{ maxCostUsd: 1 }], [{ maxTokenCount: 40n }], [{ maxRequestCount: 2 }]])(
  "lets no request begin that may exceed a budget together with those under way: %o",
  async (session) => {
    const { spending } = spend({ session });
    spending.add(usage(0.3));
    const first = await spending.reserve(usage(0.4), never);
    const order: string[] = [];
    const second = spending.reserve(usage(0.4), never).then((reservation) => {
      order.push("second");
      return reservation;
    });
    await new Promise(setImmediate);
    expect(order).toEqual([]);
    // It came to less than it might have.
    spending.add({ ...usage(0.1), requestCount: 0, inputTokenCount: 0n });
    if ("held" in first) first.held[Symbol.dispose]();
    expect(await second).toHaveProperty("held");
  },
);

test("refuses those that waited where the budget has been used up meanwhile", async () => {
  const { spending, events } = spend({ session: { maxCostUsd: 1 } });
  const first = await spending.reserve(usage(5), never);
  const others = [spending.reserve(usage(0.1), never), spending.reserve(usage(0.1), never)];
  spending.add(usage(1.2));
  if ("held" in first) first.held[Symbol.dispose]();
  const refused = "The session's budget of $1.00 is used up ($1.20).";
  expect(await Promise.all(others)).toEqual([{ refused }, { refused }]);
  expect(events).toHaveLength(1);
});

test("holds what all sessions have under way to the host's budget, and forgets who waits no more", async () => {
  const store = openStore();
  const reservations = new Reservations();
  const day = { maxCostUsd: 1 };
  const one = spend({ store, reservations, day }).spending;
  const other = spend({ store, reservations, day, sessionId: "ses_b" }).spending;
  await one.reserve(usage(0.7), never);
  expect(await other.reserve(usage(0.2), never)).toHaveProperty("held");
  const gone = new AbortController();
  const waiting = other.reserve(usage(0.2), { signal: gone.signal });
  gone.abort();
  expect(await waiting).toHaveProperty("occupied");
  expect(reservations.held()).toHaveLength(2);
});

test("goes on counting where the host before stopped", () => {
  const store = openStore();
  spend({ store }).spending.add(usage(0.3));
  const { spending } = spend({ store, session: { maxCostUsd: 0.5 } });
  expect(spending.refusal()).toBeUndefined();
  spending.add(usage(0.3));
  expect(spending.refusal()).toContain("$0.60");
});

test("holds all sessions of a day to the host's budget, also after one was deleted", async () => {
  const store = openStore();
  spend({ store, sessionId: "ses_before" }).spending.add(usage(2));
  await store.deleteSession("ses_before");
  const { spending, events } = spend({ store, day: { maxCostUsd: 2 } });
  expect(spending.refusal()).toBe("The host's budget for one day (UTC) of $2.00 is used up ($2.00).");
  expect(events).toMatchObject([{ scope: BudgetReached_Scope.HOST }]);
  expect(spending.used.costUsd).toBe(0);
});

test("forgets nothing while the store has no room", () => {
  const store = openStore();
  let full = true;
  const cramped = {
    add(...args: [string, string, MeteredUsage]) {
      if (full) throw storeError({ code: "ENOSPC" }, { path: "/x", failed: "Full." });
      store.usage.add(...args);
    },
    ofSession: (id: string) => store.usage.ofSession(id),
    ofDay: (day: string) => store.usage.ofDay(day),
    report: () => [],
  };
  const { spending } = spend({ usage: cramped, session: { maxRequestCount: 2 } });
  spending.add(usage(0.1));
  spending.add(usage(0.1));
  expect(spending.refusal()).toBeDefined();
  full = false;
  spending.add(usage(0.1));
  expect(store.usage.ofSession("ses_a").requestCount).toBe(3);
  expect(spending.used.requestCount).toBe(3);
});

test("takes the tighter of two budgets, bound by bound", () => {
  const host = create(BudgetSchema, { maxCostUsd: 5, maxTokenCount: 0n, maxRequestCount: 10 });
  const own = create(BudgetSchema, { maxCostUsd: 7, maxTokenCount: 100n, maxRequestCount: 3 });
  expect(tighterBudget(host, own)).toMatchObject({ maxCostUsd: 5, maxTokenCount: 100n, maxRequestCount: 3 });
  expect(tighterBudget(host, undefined)).toMatchObject({ maxCostUsd: 5, maxTokenCount: 0n, maxRequestCount: 10 });
});

test("keeps what was used for some months", async () => {
  const store = openStore();
  store.usage.add("ses_a", "2025-01-01", usage(1));
  store.usage.add("ses_a", "2026-03-01", usage(1));
  await store.prune({ nowMs: Date.parse("2026-03-02") });
  expect(store.usage.ofDay("2025-01-01").requestCount).toBe(0);
  expect(store.usage.ofSession("ses_a")).toMatchObject({ requestCount: 1, costUsd: 1 });
});
