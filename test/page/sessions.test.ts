import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ContainerSpecSchema,
  RepositorySpecSchema,
  SessionSpecSchema,
  TakenChanges_Kind,
  TakenChangesSchema,
} from "../../proto/index.ts";
import { byHeart } from "../model/by-heart.ts";
import { seriousFindings } from "../support/axe.ts";
import { openBrowser } from "../support/browser.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { eachEvent } from "../support/each-event.ts";
import { type OpenedPage, openPage } from "../support/page.ts";
import { pictureForReadme } from "../support/readme-picture.ts";
import { type Relay, startRelay } from "../support/relay.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

const call = (name: string, input: object) =>
  `[scenario: call-tools output-tokens=500 ${JSON.stringify([{ name, input }])}]`;
const languages = {
  file_path: "/workspace/repo/src/languages.js",
  content: 'export const hello = { en: "Hello", fr: "Bonjour", de: "Hallo" };\n',
};
const SCRIPT = byHeart({
  "Teach the greeter French and German.": call("Write", languages),
  "Greet people by their names.": call("Bash", { command: "npm install names", description: "Add names" }),
  "Find out why the tests are slow.": call("Bash", { command: "npm test; sleep 600", description: "Run the tests" }),
});
/** Markup, controls, marks that turn text around, and much of it. */
const HOSTILE = `<img src=x onerror="document.title='hacked'"><script>document.title='hacked'</script>{{7*7}}\u202egnp.exe\u2066\u0007\u001b[31m${"<b>long</b>".repeat(400)}`;

const stack = new AsyncDisposableStack();
let rig: HostRig;
let browser: Browser;
let wide: OpenedPage;
let narrow: OpenedPage;
/** Between the narrow one and the host. */
let relay: Relay;
const ids: Record<string, string> = {};

beforeAll(async () => {
  rig = stack.use(await startHostRig({ scenarios: [SCRIPT], config: { max_running: 2 } }));
  browser = stack.use(await openBrowser());
  wide = stack.use(await openPage(rig.place, browser, { viewport: { width: 1100, height: 640 }, colorScheme: "dark" }));
  narrow = stack.use(
    await openPage(rig.place, browser, {
      viewport: { width: 400, height: 700 },
      colorScheme: "light",
      through: async (port) => (relay = stack.use(await startRelay(port))).port,
    }),
  );
});
afterAll(() => stack.disposeAsync());

async function start(
  name: string,
  task: string,
  spec: MessageInitShape<typeof SessionSpecSchema> = {},
): Promise<string> {
  const repository = create(RepositorySpecSchema, { uri: rig.repository });
  const session = await rig.sessions.create({
    spec: create(SessionSpecSchema, { task, repository, ...spec }),
    container: create(ContainerSpecSchema),
  });
  ids[name] = session.id;
  return session.id;
}

async function ended(id: string): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  for await (const { event } of eachEvent(rig.sessions.watch(id, { afterSequence: 0, signal })))
    if (event.case === "sessionFinished") return;
}

/** The list as it is read: headings with their counts, and tasks. */
async function list(page: Page): Promise<string[]> {
  const rows = await page.locator("cc-sessions h2, cc-sessions .task").allInnerTexts();
  return rows.map((row) => row.replace(/\s+/g, " ").slice(0, 60));
}

const both = () => [wide.page, narrow.page];
const DONE = "Teach the greeter French and German.";
const ASKS = "Greet people by their names.";
const WORKS = "Find out why the tests are slow.";

test("sessions appear in their groups as they come, in two browsers at once, with what they do and what they came to", async () => {
  expect(await wide.page.getByText("No sessions yet.").innerText()).toBe("No sessions yet.");
  await ended(await start("done", DONE, { budget: { maxCostUsd: 5 } }));
  await ended(
    await start("failed", "Translate it.", {
      repository: create(RepositorySpecSchema, { uri: `${rig.repository}-that-is-not-there` }),
    }),
  );
  await start("asks", ASKS, { permissionMode: "default" });
  await start("works", WORKS);
  await start("queued", "Write it down.");
  await wide.page.getByText("place 1 in the queue").waitFor();
  await wide.page.getByText("Bash npm test; sleep 600").waitFor();
  await wide.page.getByText("asks to use Bash").waitFor();
  await pictureForReadme("sessions", wide.page);
  await start("hostile", HOSTILE);
  const expected = [
    ...["Needs you 1", ASKS],
    ...["Working 1", WORKS],
    ...["In the queue 2", "Write it down.", expect.stringMatching(/^<img src=x/) as string],
    ...["Finished, not applied yet 1", DONE],
    ...["Failed 1", "Translate it."],
  ];
  for (const page of both()) {
    await expect.poll(() => list(page), { timeout: 60_000 }).toEqual(expected);
    await expect.poll(() => page.title()).toBe("1 needs you · 1 working · ClaudeCluster");
  }
  const { page } = wide;
  const row = (task: string) => page.getByRole("listitem").filter({ hasText: task });
  await expect.poll(() => row(ASKS).innerText()).toMatch(/waiting[^]*asks to use Bash[^]*greeter/);
  await expect.poll(() => row(WORKS).innerText()).toMatch(/running[^]*Bash npm test; sleep 600/);
  expect(await row("Write it down.").innerText()).toMatch(/queued[^]*place 1 in the queue/);
  expect(await row(DONE).innerText()).toMatch(
    /succeeded[^]*not applied yet[^]*\+1 −0[^]*\$0\.\d+ of \$5\.00[^]*greeter/,
  );
  expect(await row("Translate it.").innerText()).toMatch(/failed[^]*[A-Z_]{5,}: /);
});

test("the browsers and the command line agree, whoever acts", async () => {
  const { stdout } = await claudecluster(rig.place, ["list", "--json"]);
  const listed = (JSON.parse(stdout) as { session_id: string; state: string }[]).map((one) => one.state).sort();
  expect(listed).toEqual(["failed", "queued", "queued", "running", "succeeded", "waiting"]);
  await claudecluster(rig.place, ["stop", ids["queued"]!]);
  await rig.sessions.markTaken(
    ids["done"]!,
    create(TakenChangesSchema, { kind: TakenChanges_Kind.BRANCH, place: "greet" }),
  );
  for (const page of both()) {
    await expect.poll(() => list(page)).toEqual(expect.arrayContaining(["Finished 2", "In the queue 1"]));
    expect(await list(page)).not.toContain("Finished, not applied yet 1");
  }
});

test("hostile text is shown as text, and what is hidden in it by its name", async () => {
  for (const { page } of [wide, narrow]) {
    const task = page.locator(".task").filter({ hasText: "<img src=x" });
    expect(await task.innerText()).toContain(
      `<img src=x onerror="document.title='hacked'"><script>document.title='hacked'</script>{{7*7}}U+202Egnp.exeU+2066U+0007U+001B[31m`,
    );
    expect(await task.locator("img, script, b").count()).toBe(0);
    expect(await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")).toBe(
      false,
    );
  }
  expect(await wide.page.title()).not.toContain("hacked");
});

test("it is used by keys alone: through the list, by search, into a session and back to where one was", async () => {
  const { page } = wide;
  const focused = () =>
    page.evaluate<string>(`(() => {
    let at = document.activeElement;
    while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    return at?.querySelector?.(".task")?.innerText ?? at?.localName ?? "";
  })()`);
  await page.keyboard.press("j");
  await expect.poll(focused).toBe(ASKS);
  await page.keyboard.press("ArrowDown");
  await expect.poll(focused).toBe(WORKS);
  await page.keyboard.press("End");
  await expect.poll(focused).toBe(DONE);
  await page.keyboard.press("Home");
  await page.keyboard.press("k");
  await expect.poll(focused).toBe(ASKS);
  await page.keyboard.press("/");
  await expect.poll(focused).toBe("input");
  await page.keyboard.type("tests slow");
  await expect.poll(() => list(page)).toEqual(["Working 1", WORKS]);
  await page.keyboard.press("Enter");
  await expect.poll(focused).toBe(WORKS);
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/#/session/${ids["works"]}`);
  await page.goBack();
  await expect.poll(() => list(page)).toEqual(["Working 1", WORKS]);
  await page.keyboard.press("/");
  await page.keyboard.press("Escape");
  await expect.poll(async () => (await list(page)).length).toBeGreaterThan(4);
  await page.getByRole("button", { name: /^Failed/ }).click();
  await expect.poll(() => list(page)).toEqual(["Failed 1", "Translate it."]);
  await page.getByRole("button", { name: /^Failed/ }).click();
});

test("axe finds nothing serious, wide and narrow, dark and light", async () => {
  for (const { page } of [wide, narrow]) expect(await seriousFindings(page)).toEqual([]);
  for (const landmark of ["banner", "main", "navigation", "search"] as const) {
    expect(await wide.page.getByRole(landmark).count()).toBe(1);
  }
});

test("a lost connection is said, and taken up again with what was missed", async () => {
  const { page } = narrow;
  relay.cut();
  await page.getByText("The host does not answer").waitFor();
  await claudecluster(rig.place, ["stop", ids["hostile"]!]);
  await expect.poll(() => list(wide.page)).toContain("Finished 3");
  expect(await list(page)).not.toContain("Finished 3");
  relay.mend();
  await page.getByRole("button", { name: "Try now" }).click();
  await expect.poll(() => list(page)).toContain("Finished 3");
  await page.getByText("The host does not answer").waitFor({ state: "hidden" });
  await claudecluster(rig.place, ["ui", "--sign-out"]);
  for (const page of both()) await page.getByText("The host does not answer").waitFor();
});

test("the browser has complained of nothing", () => {
  const lost = /^Failed to load resource: net::ERR_/;
  for (const { problems } of [wide, narrow]) expect(problems.filter((problem) => !lost.test(problem))).toEqual([]);
});
