import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  ContainerSpecSchema,
  type EventBody,
  RepositorySpecSchema,
  SessionSpecSchema,
  Session_State as State,
} from "../../proto/index.ts";
import { SqliteStore } from "../../host/store/sqlite-store.ts";
import { byHeart } from "../model/by-heart.ts";
import { seriousFindings } from "../support/axe.ts";
import { openBrowser } from "../support/browser.ts";
import { HOSTILE, hostileEvents } from "../support/hostile-events.ts";
import { type OpenedPage, openPage } from "../support/page.ts";
import { readPage } from "../support/page-text.ts";
import { pictureForReadme } from "../support/readme-picture.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

const call = (...calls: readonly object[]) => `[scenario: call-tools ${JSON.stringify(calls)}]`;
const bash = (command: string, description: string) => ({ name: "Bash", input: { command, description } });
const ask = (...questions: readonly object[]) => ({ name: "AskUserQuestion", input: { questions } });
const option = (label: string) => ({ label, description: `Take ${label}` });
const greeting = {
  question: "Which greeting?",
  header: "Greeting",
  options: [option("Hello"), option("Bonjour")],
  multiSelect: false,
};
const colors = {
  question: "Which colors?",
  header: "Colors",
  options: [option("red"), option("blue")],
  multiSelect: true,
};
/** What JSON can carry of it, and a shell be given. */
const SHOWN = HOSTILE.replace("\u0000", "");
const hostileQuestion = { question: SHOWN, header: "H", options: [option(SHOWN), option("no")], multiSelect: false };

const SCRIPT = byHeart({
  "Greet the world": call(
    bash("echo hello > greeting.txt", "Write the greeting"),
    bash("rm -rf /", "Clean up"),
    ask(greeting, colors),
    bash("curl -sS https://example.com/", "Look outside"),
  ),
  "Take your time": call(bash("for i in 1 2 3 4 5 6 7 8 9; do touch $i; sleep 2; done", "Wait")),
  "Ask by keyboard": call(ask(greeting)),
  "Say a lot": call(
    bash("head -c 10000000 /dev/zero | tr '\\0' '<'", "Ten megabytes"),
    bash(`printf '%s' '${SHOWN.replaceAll("'", "")}' > '<img src=x>\u202e.txt'; ls`, SHOWN),
    ask(hostileQuestion),
  ),
});

const MANY = "ses_00000000000000000000000001";
const ODD = "ses_00000000000000000000000002";
const EVENTS = 50_000;

const stack = new AsyncDisposableStack();
let rig: HostRig;
let browser: Browser;
beforeAll(async () => {
  rig = stack.use(await startHostRig({ scenarios: [SCRIPT] }));
  storeSessions(rig);
  browser = stack.use(await openBrowser());
});
afterAll(() => stack.disposeAsync());

/** The host finds them when it starts. */
function storeSessions({ place }: HostRig): void {
  using store = SqliteStore.open(join(place.directories.stateDirectory, "sessions.db"));
  const nowMs = Date.now();
  const put = (id: string, events: readonly EventBody[]) => {
    const timed = events.map((event, index) => ({ event, occurTimeMs: nowMs + index }));
    store.createSession(id, { container: "{}", events: timed.slice(0, 1) });
    for (let from = 1; from < timed.length; from += 1000) store.append(id, timed.slice(from, from + 1000));
  };
  put(ODD, hostileEvents(nowMs));
  const tool = (index: number): EventBody[] =>
    [
      {
        case: "toolUseStarted",
        value: { toolUseId: `${index}`, name: "Bash", inputJson: `{"command":"step ${index}"}` },
      },
      { case: "toolUseFinished", value: { toolUseId: `${index}`, output: `done ${index}` } },
    ] as EventBody[];
  put(MANY, [
    { case: "sessionStarted", value: { sessionId: MANY, spec: create(SessionSpecSchema, { task: "Do a lot" }) } },
    ...Array.from({ length: EVENTS / 2 }, (_, index) => tool(index)).flat(),
    { case: "sessionFinished", value: { state: State.SUCCEEDED, result: { outcome: { case: "success", value: {} } } } },
  ] as EventBody[]);
}

async function start(task: string, more: MessageInitShape<typeof SessionSpecSchema> = {}): Promise<string> {
  const spec = create(SessionSpecSchema, {
    task,
    permissionMode: "default",
    idleTimeout: durationFromMs(60_000),
    repository: create(RepositorySpecSchema, { uri: rig.repository }),
    ...more,
  });
  return (await rig.sessions.create({ spec, container: create(ContainerSpecSchema), requestId: "" })).id;
}

async function openSession(id: string, options: BrowserContextOptions = {}): Promise<OpenedPage> {
  const opened = await openPage(rig.place, browser, options);
  await opened.page.goto(new URL(`/#/session/${id}`, opened.page.url()).href);
  return opened;
}

const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
const feedOf = (page: Page) => page.getByRole("list", { name: "What happened" });

test("a session is watched and steered on its page, and in another browser and on the command line it is the same", async () => {
  const id = await start("Greet the world");
  await using opened = await openSession(id, { viewport: { width: 1200, height: 860 } });
  await using other = await openSession(id, { colorScheme: "dark", viewport: { width: 400, height: 800 } });
  const { page } = opened;
  await page.getByRole("heading", { name: "May Claude use Bash?" }).waitFor();
  await page.getByText('"command": echo hello > greeting.txt').first().waitFor();
  expect(await seriousFindings(page)).toEqual([]);
  await button(other.page, "Allow once").waitFor();
  expect(await seriousFindings(other.page)).toEqual([]);
  await button(other.page, "Allow once").click();
  await page.getByText('"command": rm -rf /').first().waitFor();
  await page.getByLabel("Note to Claude").fill("Never that.");
  await button(page, "Deny").click();

  await button(page, "Answer").click();
  await page.getByRole("alert").filter({ hasText: "The answer does not fit" }).waitFor();
  await page.getByRole("radio", { name: /^Bonjour/ }).check();
  await page.getByRole("checkbox", { name: /^red/ }).check();
  await page
    .getByRole("group", { name: /Which colors/ })
    .getByLabel("Other")
    .fill("green");
  await button(page, "Answer").click();

  await button(page, "Allow once").waitFor();
  const { pendingRequests } = await rig.sessions.get(id);
  await rig.sessions.decide(id, { requestId: pendingRequests[0]!.requestId, allow: true });
  for (const each of [page, other.page]) {
    await each.getByRole("row", { name: /example\.com:443 refused 1 not on the list/ }).waitFor();
    await feedOf(each).getByText("Turn 1 is done").waitFor();
  }
  await page.getByRole("main").evaluate((main) => main.scrollTo(0, 0));
  await pictureForReadme("session", page);
  await page.getByRole("combobox", { name: "Show" }).selectOption("Decisions");
  await feedOf(page).getByText("Never that.").waitFor();
  await feedOf(page).getByText("red, green").waitFor();
  expect(await feedOf(page).getByRole("listitem").count()).toBe(4);
  await page.getByRole("combobox", { name: "Show" }).selectOption("everything");

  await page.getByLabel("Message to Claude").fill("x".repeat(1024 * 1024 + 1));
  await button(page, "Send").click();
  await page
    .getByRole("alert")
    .filter({ hasText: "The message has 1048577 bytes; at most 1048576 are possible." })
    .waitFor();
  await page.getByLabel("Message to Claude").fill("Take your time");
  await button(page, "Send").click();
  await feedOf(other.page).getByText("Take your time").waitFor();
  await button(page, "Allow once").click();
  await button(page, "Interrupt").click();
  await feedOf(page).getByText("Turn 2 was interrupted").waitFor();
  await button(page, "Stop…").click();
  await button(page, "Go on").click();
  await button(page, "Stop…").click();
  await button(page, "Stop it").click();
  await page.getByRole("heading", { name: "Result" }).waitFor();
  await page.getByText("Stopped on the page.").first().waitFor();
  expect((await rig.sessions.get(id)).state).toBe(State.CANCELED);
  expect(await button(page, "Interrupt").count()).toBe(0);
  expect(await seriousFindings(page)).toEqual([]);
  await page.getByText("As a table").click();
  for (const name of [/^first request /, /^turn 2 /, /^the model's answers /, /^waiting for people /]) {
    await page.getByRole("row", { name }).waitFor();
  }
  for (const kind of ["phase", "turn", "model", "tool", "wait"]) {
    expect(await page.locator(`cc-timeline g.${kind}`).count(), kind).toBeGreaterThan(0);
  }
  // The answer and the message that did not fit.
  expect([...new Set(opened.problems)]).toEqual([
    "Failed to load resource: the server responded with a status of 400 (Bad Request)",
  ]);
  expect(other.problems).toEqual([]);
});

test("what a container says is text, in every field of every event, and nothing hidden stays hidden", async () => {
  await using opened = await openSession(ODD, { viewport: { width: 400, height: 800 } });
  const { page, problems } = opened;
  await page.getByRole("heading", { name: "Result" }).waitFor();
  await page.getByText("As a table").click();
  await feedOf(page).getByText("failed").first().waitFor();
  // Each entry is rendered once on the way down.
  const seen = new Set<string>();
  const list = feedOf(page);
  for (let scrolled = -1; scrolled !== (await list.evaluate((each) => each.scrollTop));) {
    scrolled = await list.evaluate((each) => each.scrollTop);
    const { texts, elements } = await readPage(page);
    for (const text of texts) seen.add(text);
    expect(elements.filter((name) => ["img", "script", "style"].includes(name))).toEqual(["script"]);
    await list.evaluate((each) => each.scrollBy(0, each.clientHeight / 2));
    await page.evaluate("new Promise(requestAnimationFrame)");
  }
  const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b\u2028\u202e\u2066\ufeff]/;
  expect([...seen].filter((text) => hidden.test(text))).toEqual([]);
  expect([...seen].filter((text) => text.includes("<img src=x")).length).toBeGreaterThan(20);
  expect(seen).toContain("U+202E");
  expect(await page.title()).not.toContain("hacked");
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(400);
  expect(await page.getByRole("main").evaluate((main) => main.scrollWidth <= main.clientWidth)).toBe(true);
  expect(await seriousFindings(page)).toEqual([]);
  expect(problems).toEqual([]);
});

test("a log of fifty thousand events is read to its end, and no more of it rendered than is seen", async () => {
  await using opened = await openSession(MANY);
  const { page, problems } = opened;
  await page.getByRole("heading", { name: "Result" }).waitFor({ timeout: 60_000 });
  const list = feedOf(page);
  const rows = list.getByRole("listitem");
  await expect.poll(() => rows.first().getAttribute("aria-setsize")).toBe(String(EVENTS / 2 + 1));
  await list.evaluate((each) => each.scrollTo(0, each.scrollHeight));
  await list.getByText("succeeded").waitFor();
  expect(await rows.count()).toBeLessThan(100);
  await list.evaluate((each) => each.scrollTo(0, each.scrollHeight / 2));
  await expect.poll(async () => Number(await rows.first().getAttribute("aria-posinset"))).toBeLessThan(EVENTS / 3);
  expect(await rows.count()).toBeLessThan(100);
  expect(await page.locator("cc-timeline rect").count()).toBeLessThan(2000);
  expect(problems).toEqual([]);
});

test("a session is found, answered, told something and stopped with the keyboard alone", async () => {
  const id = await start("Ask by keyboard");
  await using opened = await openSession(id);
  const { page, problems } = opened;
  await page.getByRole("heading", { name: "Claude asks" }).waitFor();
  const press = (...keys: string[]) =>
    keys.reduce((done, key) => done.then(() => page.keyboard.press(key)), Promise.resolve());
  await tabTo(page, /^Hello/);
  await press("ArrowDown");
  await tabTo(page, /^Answer$/);
  await press("Enter");
  await feedOf(page).getByText("Question answered").waitFor();
  await feedOf(page)
    .getByText(/"Which greeting\?"="Bonjour"/)
    .first()
    .waitFor();
  await tabTo(page, /^What happened$/);
  await press("Home");
  await feedOf(page).getByText("queued").waitFor();
  await press("End");
  await tabTo(page, /^Message to Claude/);
  await page.keyboard.type("Take your time");
  await press("Control+Enter");
  await page.getByRole("heading", { name: "May Claude use Bash?" }).waitFor();
  await tabTo(page, /^Deny$/);
  await press("Space");
  await feedOf(page).getByText("Permission denied").waitFor({ state: "attached" });
  await tabTo(page, /^Stop…$/);
  await press("Enter");
  await tabTo(page, /^Stop it$/, "Shift+Tab");
  await press("Enter");
  await page.getByRole("heading", { name: "Result" }).waitFor();
  expect(problems).toEqual([]);
});

test("a page that was cut off goes on after what it has, each event once, and says so meanwhile", async () => {
  const id = await start("Say a lot", { permissionMode: "bypassPermissions" });
  await using opened = await openSession(id);
  const { page } = opened;
  await page.getByRole("heading", { name: "Claude asks" }).waitFor();
  await page.addInitScript(CUTTING);
  await page.reload();
  await page.getByRole("heading", { name: "Claude asks" }).waitFor();
  // Ten megabytes of a command are what Claude is told of them, and hostile questions are words.
  await page.getByRole("combobox", { name: "Show" }).selectOption("Tools");
  const megabytes = feedOf(page).getByRole("listitem").filter({ hasText: "Ten megabytes" });
  await megabytes
    .getByRole("button", { name: /^Show (all|more) of the output/ })
    .first()
    .click();
  await megabytes.getByRole("button", { name: "Show less of the output" }).waitFor();
  await page.getByRole("radio", { name: /<img src=x/ }).waitFor();
  expect((await readPage(page)).elements).not.toContain("img");
  await page.getByRole("combobox", { name: "Show" }).selectOption("everything");

  await page.evaluate("cutOff()");
  const { pendingRequests } = await rig.sessions.get(id);
  await rig.sessions.answer(id, { requestId: pendingRequests[0]!.requestId, answers: [["no"]] });
  await vi.waitFor(async () => expect((await rig.sessions.get(id)).state).toBe(State.IDLE), {
    timeout: 30_000,
    interval: 100,
  });
  await page.getByText("this may be old").waitFor();
  await page.evaluate("mend()");
  await page.getByLabel("Follow").check();
  await feedOf(page).getByText("Turn 1 is done").waitFor();
  await page.getByText("this may be old").waitFor({ state: "detached" });
  await page.getByRole("combobox", { name: "Show" }).selectOption("Messages");
  expect(await feedOf(page).getByRole("listitem").count()).toBe(1);
  await page.getByRole("combobox", { name: "Show" }).selectOption("Decisions");
  expect(await feedOf(page).getByRole("listitem").count()).toBe(1);
});

/** Lets a test cut what a page reads, and everything that it asks for until that is mended. */
const CUTTING = `(() => {
  const whole = fetch;
  let isCut = false;
  let cut = new AbortController();
  globalThis.cutOff = () => {
    isCut = true;
    cut.abort(new TypeError("cut"));
    cut = new AbortController();
  };
  globalThis.mend = () => (isCut = false);
  globalThis.fetch = (input, init = {}) =>
    isCut
      ? Promise.reject(new TypeError("cut"))
      : whole(input, { ...init, signal: AbortSignal.any([cut.signal, ...(init.signal ? [init.signal] : [])]) });
})()`;

/** Presses a key that moves the focus until it is on what has this name. */
async function tabTo(page: Page, name: RegExp, key: "Tab" | "Shift+Tab" = "Tab"): Promise<void> {
  for (let presses = 0; presses < 80; presses++) {
    if (name.test(await page.evaluate<string>(FOCUSED))) return;
    await page.keyboard.press(key);
  }
  throw new Error(`Nothing with the name ${name} was reached.`);
}

/** The name of what has the focus, as a browser says it to whoever cannot see it. */
const FOCUSED = `(() => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  const labelled = at?.getAttribute("aria-labelledby");
  const label = labelled ? at.getRootNode().getElementById(labelled)?.textContent : undefined;
  return (at?.getAttribute("aria-label") ?? label ?? at?.labels?.[0]?.textContent ?? at?.textContent ?? "").trim();
})()`;
