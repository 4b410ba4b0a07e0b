import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HostLink } from "../../host/daemon/host-link.ts";
import { SqliteStore } from "../../host/store/sqlite-store.ts";
import { SessionStartedSchema, TakenChanges_Kind, TakenChangesSchema } from "../../proto/index.ts";
import { openBrowser } from "../support/browser.ts";
import { makeHostDirectories, type TestDirectories } from "../support/host-directories.ts";
import { CLAUDECLUSTER } from "../support/mcp-client.ts";
import { openPage } from "../support/page.ts";
import { finished, NEW } from "../support/stored-sessions.ts";

const COUNT = 1000;
const idOf = (index: number) => `ses_${String(index).padStart(26, "0")}`;

const stack = new AsyncDisposableStack();
let place: TestDirectories;
let link: HostLink;
let browser: Browser;

beforeAll(async () => {
  place = stack.use(await makeHostDirectories());
  await place.configure({});
  const store = SqliteStore.open(join(place.directories.stateDirectory, "sessions.db"));
  for (let index = 0; index < COUNT; index++) {
    const spec = { task: `Task ${index}`, repository: { uri: `https://git.example/r${index % 7}` } };
    const started = { case: "sessionStarted" as const, value: create(SessionStartedSchema, { spec }) };
    const nowMs = Date.now();
    store.createSession(idOf(index), { ...NEW, events: [{ event: started, occurTimeMs: nowMs }, finished(nowMs, 1)] });
  }
  store[Symbol.dispose]();
  link = stack.use(
    new HostLink({ directories: place.directories, env: place.env, command: [process.execPath, CLAUDECLUSTER] }),
  );
  await link.connect();
  browser = stack.use(await openBrowser());
});
afterAll(() => stack.disposeAsync());

const take = (index: number) =>
  link.sessions.markTaken(idOf(index), create(TakenChangesSchema, { kind: TakenChanges_Kind.SAVED, place: "x" }));
const rowCount = (page: Page) => page.locator("cc-sessions [role=listitem]").count();

/** Times of a full drawing of the list with all sessions, and with few, one after the other; the shortest of many each. */
const DRAWING = `(async () => {
  const list = document.querySelector("cc-page").shadowRoot.querySelector("cc-sessions");
  const all = list.feed;
  const few = { sessions: new Map([...all.sessions].slice(0, 20)) };
  const times = { all: Infinity, few: Infinity };
  for (let round = 0; round < 30; round++) {
    for (const [name, feed] of [["all", all], ["few", few]]) {
      list.feed = feed;
      const start = performance.now();
      await list.updateComplete;
      await list.shadowRoot.querySelector("cc-virtual-list").updateComplete;
      // The first one finds nothing to be drawn.
      if (round > 0) times[name] = Math.min(times[name], performance.now() - start);
    }
  }
  list.feed = all;
  return times;
})()`;

test("a thousand sessions cost the browser what a screenful does, at every place of the list and while they change", async () => {
  await using opened = await openPage(place, browser, { viewport: { width: 1000, height: 700 } });
  const { page, problems } = opened;
  await page.getByRole("button", { name: `Finished, not applied yet ${COUNT}` }).waitFor();
  expect(await rowCount(page)).toBeLessThan(40);
  let taken = 0;
  const changing = (async () => {
    for (; taken < 200; taken++) await take(taken);
  })();
  for (const key of ["End", "Home", "PageDown", "PageDown", "End"]) {
    await page.keyboard.press(key);
    expect(await rowCount(page)).toBeLessThan(60);
  }
  await changing;
  await page.getByRole("button", { name: "Finished 200" }).waitFor();
  const { all, few } = await page.evaluate<{ all: number; few: number }>(DRAWING);
  // A list that renders all of them takes 20 times as long and more.
  expect(all / few, JSON.stringify({ all, few })).toBeLessThan(10);
  expect(problems).toEqual([]);
});

test("more tabs than a browser makes connections are all served: one that is not seen lets go of its streams", async () => {
  await using opened = await openPage(place, browser);
  const context = opened.page.context();
  const waits = await context.newPage();
  // Chromium without a window shows all of its pages.
  await context.addInitScript(`Object.defineProperty(document, "hidden", { get: () => window.unseen ?? true })`);
  const url = new URL("/", opened.url).href;
  const tabs = await Promise.all(
    Array.from({ length: 7 }, async () => {
      const tab = await context.newPage();
      await tab.goto(url);
      return tab;
    }),
  );
  await waits.goto(url);
  // One of those that are not seen goes on, for the counts in its title.
  const listing = await Promise.all(tabs.map(async (tab) => (await rowCount(tab)) > 0));
  expect(listing.filter(Boolean).length).toBeLessThanOrEqual(1);
  for (const tab of tabs) {
    await tab.evaluate(`window.unseen = false; document.dispatchEvent(new Event("visibilitychange"))`);
    await tab.getByRole("listitem").first().waitFor();
    await tab.close();
  }
});
