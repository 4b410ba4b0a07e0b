import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Locator, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Session_State, TakenChanges_Kind } from "../../proto/index.ts";
import { seriousFindings } from "../support/axe.ts";
import { openBrowser } from "../support/browser.ts";
import { openPage, type OpenedPage } from "../support/page.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

const stack = new AsyncDisposableStack();
let rig: HostRig;
let browser: Browser;
let opened: OpenedPage;
let page: Page;
let directory: string;
beforeAll(async () => {
  const top = mkdtempSync(join(tmpdir(), "claudecluster-act-"));
  stack.defer(() => rmSync(top, { recursive: true }));
  directory = join(top, "project");
  mkdirSync(directory);
  git("init", "-q", "-b", "main");
  write("README.md", "start\n");
  git("add", ".");
  git("commit", "-qm", "start");
  rig = stack.use(await startHostRig());
  browser = stack.use(await openBrowser());
  opened = stack.use(await openPage(rig.place, browser));
  page = opened.page;
});
afterAll(() => stack.disposeAsync());

/** What the browser says of the one call that is refused on purpose. */
const PROBLEMS = ["Failed to load resource: the server responded with a status of 400 (Bad Request)"];
const git = (...args: string[]) =>
  execFileSync("git", ["-c", "user.name=User", "-c", "user.email=u@example.com", ...args], {
    cwd: directory,
    encoding: "utf8",
  });
const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
const read = (name: string) => readFileSync(join(directory, name), "utf8");
const task = (command: string) =>
  `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}] <b>It</b> is urgent`;
const button = (within: Page | Locator, name: string) => within.getByRole("button", { name, exact: true });

/** The dialog of a button that opens one. */
async function openDialog(within: Page | Locator, name: string): Promise<Locator> {
  await button(within, name).click();
  return page.getByRole("dialog");
}

test("sessions are started on a directory as it lies there; as attempts they stand side by side", async () => {
  write("notes.txt", "not committed\n");
  const dialog = await openDialog(page, "New session…");
  // Each makes something else of it.
  const command = "test -f notes.txt; date +%N >> README.md; echo x > '<i>new.ts'; echo 'echo hi' > .envrc";
  await dialog.getByRole("textbox", { name: "Task" }).fill(task(command));
  await dialog.getByLabel(/^Directory of this machine/).fill(join(directory, "nowhere"));
  await dialog.getByLabel("Attempts").fill("2");
  await dialog.getByText("More", { exact: true }).click();
  await dialog.getByLabel("Check: judges the result").fill("grep -q start README.md");
  expect(await seriousFindings(page)).toEqual([]);
  await button(dialog, "Start").click();
  await dialog.getByRole("alert").getByText("cannot be read").waitFor();
  await dialog.getByLabel(/^Directory of this machine/).fill(directory);
  // What is written into the task's field ends by a key, too.
  await dialog.getByRole("textbox", { name: "Task" }).press("Control+Enter");
  await page.getByRole("heading", { name: /^2 attempts: .*<b>It<\/b> is urgent/ }).waitFor();

  const { sessions } = await rig.sessions.list({});
  expect(sessions).toHaveLength(2);
  expect(sessions[0]!.spec?.repository?.snapshot?.receipt).toMatchObject({ directory, untrackedCount: 1 });
  const columns = page.getByRole("article");
  await page.getByText("best", { exact: true }).waitFor();
  for (const text of await columns.allInnerTexts()) {
    expect(text.replaceAll("\n", " ")).toMatch(/State succeeded Check passed, [\d.]+ s Changes 3 files \+3 −0 Cost \$[\d.]+ Time [\d.]+ s/); // prettier-ignore
  }
  // What each made of it, beside each other.
  const numbers = columns.getByText(/^\d{9}$/);
  await numbers.nth(1).waitFor();
  expect(new Set(await numbers.allInnerTexts()).size).toBe(2);
  await page.getByText("1 pair changed the same files").click();
  await page.getByText("<<<<<<<").first().waitFor();
  expect(await seriousFindings(page)).toEqual([]);
  expect(opened.problems).toEqual(PROBLEMS);
});

test("an attempt is accepted: what it would do is shown first, a branch is made, and is taken back", async () => {
  write("README.md", "mine\n");
  const best = page.getByRole("article").first();
  const dialog = await openDialog(best, "Accept…");
  await dialog.getByRole("heading", { name: "3 files" }).waitFor();
  await dialog.getByText(".envrc: your shell runs it (direnv)").waitFor();
  await dialog.getByText("<i>new.ts new").waitFor();
  expect(await dialog.locator("pre").innerText()).toMatch(/mine\n=+\nstart\n\d+\n/);
  expect(await seriousFindings(page)).toEqual([]);
  await dialog.getByLabel("changes of your files").check();
  expect(await button(dialog, "Apply").isDisabled()).toBe(true);
  await dialog.getByLabel("a branch of its own").check();
  // Looked at once more, without taking the focus away.
  await dialog.getByLabel("with the commits that Claude made").press("Space");
  await dialog.getByText(/^Looking/).waitFor({ state: "hidden" });
  await page.keyboard.press("Space");
  await dialog.getByText(/^Looking/).waitFor({ state: "hidden" });
  expect(await dialog.getByLabel("with the commits that Claude made").isChecked()).toBe(false);
  const status = git("status", "--porcelain");
  await button(dialog, "Apply").click();
  const branch = await dialog.getByRole("status").locator("strong").innerText();
  expect(git("show", `${branch}:README.md`)).toMatch(/^start\n\d+\n$/);
  expect(git("status", "--porcelain")).toBe(status);
  await best.getByText(`as branch ${branch} in ${directory}`).waitFor();
  await button(dialog, "Undo").click();
  await dialog.getByText(`Taken back: no branch ${branch}`).waitFor();
  expect(git("branch", "--list", "claude/*")).toBe("");
  await button(dialog, "Close").click();
  expect(opened.problems).toEqual(PROBLEMS);
});

test("by keyboard, on a small dark screen, changes go into the files and are taken back", async () => {
  git("checkout", "-q", "README.md");
  await page.setViewportSize({ width: 400, height: 700 });
  const accept = button(page.getByRole("article").first(), "Accept…");
  await accept.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("heading", { name: "3 files" }).waitFor();
  // Closed and opened again before the browser says that it was closed.
  await accept.evaluate((opener: unknown) => {
    const button = opener as { nextElementSibling: { close(): void }; click(): void };
    button.nextElementSibling.close();
    button.click();
  });
  await dialog.getByText(/^Looking/).waitFor({ state: "hidden" });
  await dialog.getByRole("heading", { name: "3 files" }).waitFor();
  expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(400);
  await page.emulateMedia({ colorScheme: "dark" });
  expect(await seriousFindings(page)).toEqual([]);
  // Commits are for a branch alone: they are let go of with it.
  await dialog.getByLabel("with the commits that Claude made").press("Space");
  await dialog.getByText(/^Looking/).waitFor({ state: "hidden" });
  await dialog.getByLabel("a branch of its own").focus();
  await page.keyboard.press("ArrowDown");
  await dialog.getByText(/^Looking/).waitFor({ state: "hidden" });
  await dialog.getByLabel("repository").press("Enter");
  await dialog.getByText(`Changed: the files in ${directory}`).waitFor();
  expect(read("README.md")).toMatch(/^start\n\d+\n$/);
  const [session] = (await rig.sessions.list({})).sessions.filter(({ taken }) => taken !== undefined);
  expect(session).toMatchObject({ state: Session_State.SUCCEEDED, taken: { kind: TakenChanges_Kind.WORK_TREE } });
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });

  // Later, from what is known of the sessions.
  await page.reload();
  await page.getByRole("link", { name: "Compare" }).click();
  await page.getByRole("listitem").filter({ hasText: "2 attempts" }).getByRole("link").click();
  await page.getByRole("article").filter({ hasText: "Taken" }).getByRole("link").first().click();
  await openDialog(page, "Apply…");
  await dialog.getByText(`Applied already: ${directory}`).waitFor();
  await button(dialog, "Undo").press("Space");
  await dialog.getByText("Taken back: 3 files as before").waitFor();
  expect(git("status", "--porcelain")).toBe("?? notes.txt\n");
  expect(opened.problems).toEqual(PROBLEMS);
});
