import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Comment } from "../../host/page/diff/comments.ts";
import { openBrowser } from "../support/browser.ts";
import { openParts } from "../support/page-parts.ts";
import { seriousFindings } from "../support/axe.ts";

const SCRIPT = `
import "./diff/diff.ts";
import "./diff/file-tree.ts";
import { buildTree } from "./diff/tree.ts";
import { Comments } from "./diff/comments.ts";
import { parsePatch } from "./diff/patch.ts";
const diff = document.querySelector("cc-diff");
diff.comments = new Comments("ses_test");
window.show = (patch, sideBySide) => {
  document.querySelector("#place").style.height = "90vh";
  diff.sideBySide = sideBySide;
  diff.files = parsePatch(patch);
};
window.grow = (patch) => {
  const tree = document.createElement("cc-file-tree");
  tree.nodes = buildTree(parsePatch(patch));
  tree.addEventListener("choose", ({ detail }) => { window.chosen = detail; });
  document.querySelector("#place").replaceChildren(tree);
  document.querySelector("#place").style.height = "90vh";
};
window.counted = () => diff.shadowRoot.querySelector("cc-virtual-list").items.filter(({ kind }) => kind === "line").length;
window.comments = () => diff.comments.all;
window.scrollThrough = async ({ from, to }) => {
  const list = diff.shadowRoot.querySelector("cc-virtual-list");
  let [ms, most] = [0, 0];
  for (let at = from; at < to; at += 0.025) {
    list.scrollTop = at * list.scrollHeight;
    const began = performance.now();
    list.dispatchEvent(new Event("scroll"));
    while (!(await list.updateComplete));
    ms += performance.now() - began;
    most = Math.max(most, list.querySelectorAll("*").length);
    await new Promise(requestAnimationFrame);
  }
  return { ms, most };
};
`;
const BODY = `<main><h1>Diff</h1><div id="place"><cc-diff></cc-diff></div></main>`;

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(() => browser.close());

/** Opens a browser's page with a diff that is empty yet. */
async function openEmpty({ width = 1200, height = 800 } = {}) {
  const context = await browser.newContext({ viewport: { width, height } });
  onTestFinished(() => context.close());
  const problems: string[] = [];
  context.on("weberror", (error) => problems.push(String(error.error())));
  context.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  context.on("dialog", (dialog) => problems.push(dialog.message()));
  return { page: await openParts(context, { script: SCRIPT, body: BODY }), problems };
}

async function openDiff(patch: string, { width = 1200, sideBySide = false } = {}) {
  const { page, problems } = await openEmpty({ width });
  await page.evaluate(`show(${JSON.stringify(patch)}, ${sideBySide})`);
  await page.getByRole("row").first().waitFor();
  return { page, problems };
}

function added(path: string, lines: readonly string[]): string {
  const body = lines.map((line) => `+${line}\n`).join("");
  return `diff --git a/${path} b/${path}\nnew file mode 100644\n--- /dev/null\n+++ b/${path}\n@@ -0,0 +1,${lines.length} @@\n${body}`;
}

function commentsOf(page: Page): Promise<Comment[]> {
  return page.evaluate("comments()");
}

const PATCH = `diff --git a/src/a.ts b/src/a.ts
index 1111111..2222222 100644
--- a/src/a.ts
+++ b/src/a.ts
@@ -1,5 +1,5 @@ function f()
 // A file
 export function f(): string {
-  return "old value";
+  return "new value";
 }
 last
${added("b.md", ["# Title", "text"])}`;

test("lines, numbers, colours and what has changed in a line are shown", async () => {
  const { page, problems } = await openDiff(PATCH);
  const row = page.getByRole("row", { name: "new value" });
  expect((await row.getByRole("gridcell").allInnerTexts()).map((text) => text.trim())).toEqual([
    "",
    "3",
    "+",
    'return "new value";',
  ]);
  expect(await row.locator(".keyword").innerText()).toBe("return");
  expect(await row.locator(".string.changed").allInnerTexts()).toEqual(["new"]);
  expect(await page.getByRole("row", { name: "src/a.ts" }).innerText()).toMatch(/\+1\s−1/);
  expect(problems).toEqual([]);
});

test.each([
  { colorScheme: "light" as const, width: 1200, sideBySide: true },
  { colorScheme: "dark" as const, width: 400, sideBySide: true },
])("it can be read at $width px, in $colorScheme", async ({ colorScheme, width, sideBySide }) => {
  const { page, problems } = await openDiff(PATCH, { width, sideBySide });
  await page.emulateMedia({ colorScheme });
  // Side by side only where there is room for it.
  expect(await page.locator(".half").count()).toBe(width > 900 ? 14 : 0);
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
  await page.locator(".number:visible", { hasText: "3" }).first().click();
  await page.getByRole("textbox").fill("Why?");
  expect(await seriousFindings(page)).toEqual([]);
  await page.getByRole("button", { name: "Add comment" }).click();
  expect(await seriousFindings(page)).toEqual([]);
  expect(problems).toEqual([]);
});

test("by keys alone: lines are gone through, chosen and commented on, files closed and opened", async () => {
  const { page } = await openDiff(PATCH);
  await page.keyboard.press("Tab");
  const current = page.locator(".current");
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await press("ArrowDown", "ArrowDown", "ArrowDown", "Shift+ArrowDown", "Shift+ArrowDown");
  await expect.poll(() => page.locator("[aria-selected=true]").count()).toBe(3);
  await press("Enter");
  await page.getByRole("textbox", { name: "Comment on src/a.ts:2-3" }).waitFor();
  await page.keyboard.type("First line\nand second.");
  await press("Control+Enter");
  expect(await commentsOf(page)).toMatchObject([
    {
      path: "src/a.ts",
      side: "new",
      from: 2,
      to: 3,
      quote: [" export function f(): string {", '-  return "old value";', '+  return "new value";'],
      text: "First line\nand second.",
    },
  ]);
  // The comment is the row after its last line.
  await press("ArrowDown", "Enter");
  await page.getByRole("textbox").fill("Changed.");
  await press("Tab", "Enter");
  await expect.poll(() => commentsOf(page).then((all) => all.map(({ text }) => text))).toEqual(["Changed."]);
  await press("c", "Escape");
  await expect.poll(() => page.getByRole("textbox").count()).toBe(0);

  await press("]");
  await expect.poll(() => current.innerText()).toContain("b.md");
  await press("Enter");
  await expect.poll(() => page.getByText("# Title").count()).toBe(0);
  await press("ArrowRight", "ArrowDown");
  await expect.poll(() => current.innerText()).toContain("# Title");
  await press("ArrowLeft");
  await expect.poll(() => current.innerText()).toContain("b.md");
  await press("Home");
  await expect.poll(() => current.innerText()).toContain("src/a.ts");
});

test("what a container writes is text, in names and in lines", async () => {
  const markup = "<img src=x onerror=alert(1)><script>alert(2)</script></span>&amp;";
  const lines = [
    markup,
    "\x1b[31mred\x07 \u202Eevil\u2066",
    "x".repeat(10_000_000),
    "\u0000\r",
    "{{constructor.constructor('alert(3)')()}}",
  ];
  const name = '"<img src=x onerror=alert(4)>\\342\\200\\256\\033[31m/<b>.html"';
  const header = `diff --git ${name.replace('"', '"a/')} ${name.replace('"', '"b/')}\nnew file mode 100644\n`;
  const body = lines.map((line) => `+${line}\n`).join("");
  const { page, problems } = await openDiff(`${header}@@ -0,0 +1,${lines.length} @@ ${markup}\n${body}`);
  const shown = await page.getByRole("treegrid").innerText();
  expect(shown).toContain("<img src=x onerror=alert(4)>⟨U+202E⟩⟨U+001B⟩[31m/<b>.html");
  expect(shown).toContain(markup);
  expect(shown).toContain("⟨U+001B⟩[31mred⟨U+0007⟩ ⟨U+202E⟩evil⟨U+2066⟩");
  expect(shown).toContain("9,998,000 more characters");
  expect(shown).toContain("⟨U+0000⟩");
  await page.locator(".number", { hasText: "1" }).first().click();
  await page.getByRole("textbox").fill(markup);
  await page.keyboard.press("Control+Enter");
  await page.getByRole("button", { name: "Edit the comment on <img" }).waitFor();
  expect(await page.locator("img, script:not([src='main.js']), b").count()).toBe(0);
  expect(problems).toEqual([]);
});

/** Scrolls through a part of a diff. Returns how long it took to render what was seen, and the most elements that there were. */
function scrollThrough(page: Page, part: { from: number; to: number }): Promise<{ ms: number; most: number }> {
  return page.evaluate(`scrollThrough(${JSON.stringify(part)})`);
}

test("100,000 lines are as quick as 10,000, and as few elements", async () => {
  const patchOf = (count: number) =>
    Array.from({ length: count / 2000 }, (_, file) => {
      const lines = Array.from(
        { length: 2000 },
        (_, at) => `const value${file * 2000 + at} = "a string"; // and a comment`,
      );
      return added(`src/file${file}.ts`, lines);
    }).join("");
  const few = await openDiff(patchOf(10_000));
  const many = await openDiff(patchOf(100_000));
  const [fewMs, manyMs]: [number[], number[]] = [[], []];
  for (let from = 0; from < 0.5; from += 0.1) {
    const part = { from, to: from + 0.1 };
    const [one, other] = [await scrollThrough(few.page, part), await scrollThrough(many.page, part)];
    fewMs.push(one.ms);
    manyMs.push(other.ms);
    expect(one.most).toBeLessThan(1500);
    expect(other.most).toBeLessThan(1500);
  }
  const median = (all: number[]) => all.toSorted((a, b) => a - b)[2]!;
  expect(median(manyMs)).toBeLessThan(4 * median(fewMs));
  await many.page.getByRole("treegrid").press("End");
  await many.page.getByText("value99999 ").waitFor();
  expect([...few.problems, ...many.problems]).toEqual([]);
});

test("a large file is opened by who wants to see it", async () => {
  const { page } = await openDiff(
    added(
      "large.txt",
      Array.from({ length: 50_000 }, (_, at) => `line ${at}`),
    ) + PATCH,
  );
  expect(await page.getByText("50,000 lines, more than 2,000.").count()).toBe(1);
  await page.getByText("export").waitFor();
  await page.getByRole("button", { name: "Show them" }).click();
  await page.getByText("line 1", { exact: true }).waitFor();
  await page.keyboard.press("]");
  await page.getByText("export").waitFor();
});

test("what is looked at stays where it is while a file above it changes", async () => {
  const lines = (count: number, what: string) => Array.from({ length: count }, (_, at) => `${what} ${at}`);
  const below = added("b.txt", lines(500, "below"));
  const { page } = await openDiff(added("a.txt", lines(10, "above")) + below);
  await page.getByRole("treegrid").press("End");
  const line = page.getByText("below 490", { exact: true });
  const before = await line.boundingBox();
  for (const count of [200, 3]) {
    const above = added("a.txt", lines(count, "above"));
    await page.evaluate(`show(${JSON.stringify(above + below)}, false)`);
    await expect.poll(() => page.evaluate("counted()")).toBe(500 + count);
    await expect.poll(async () => (await line.boundingBox())?.y).toBe(before!.y);
  }
});

test("lines are chosen with the mouse, too", async () => {
  const { page } = await openDiff(PATCH);
  const number = (name: string) => page.getByRole("row", { name }).locator(".number").last();
  await number("export function").click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await number("new value").click({ modifiers: ["Shift"] });
  await page.getByRole("textbox", { name: "Comment on src/a.ts:2-3" }).fill("Both.");
  await page.getByRole("button", { name: "Add comment" }).click();
  expect(await commentsOf(page)).toMatchObject([{ from: 2, to: 3, side: "new", text: "Both." }]);
  await page.getByRole("button", { name: "Remove the comment" }).click();
  await expect.poll(() => commentsOf(page)).toEqual([]);
});

test("a tree of 10,000 files is gone through by keys, as trees are, and few of its rows are there", async () => {
  const paths = Array.from({ length: 10_000 }, (_, at) => `src/folder${at % 100}/file${at}.ts`);
  const { page, problems } = await openEmpty();
  await page.evaluate(`grow(${JSON.stringify(paths.map((path) => added(path, ["x"])).join(""))})`);
  const current = page.locator("[role=treeitem][aria-selected=true]");
  const at = async (name: string, ...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
    await expect.poll(() => current.getAttribute("title")).toBe(name);
  };
  await page.getByRole("tree").focus();
  await at("src");
  expect(await current.getAttribute("aria-expanded")).toBe("true");
  await at("folder0", "ArrowRight");
  await at("file0.ts", "ArrowRight");
  await at("file100.ts", "ArrowDown");
  expect(await current.getAttribute("aria-posinset")).toBe("2");
  expect(await current.getAttribute("aria-setsize")).toBe("100");
  expect(await current.getAttribute("aria-level")).toBe("3");
  await at("folder0", "ArrowLeft");
  await at("folder0", "ArrowLeft");
  expect(await current.getAttribute("aria-expanded")).toBe("false");
  await at("folder1", "ArrowDown");
  await at("folder17", "f", "o", "l", "d", "e", "r", "1", "7");
  await at("file9999.ts", "End", "Enter");
  expect(await page.evaluate("chosen")).toBe("src/folder99/file9999.ts");
  await at("src", "Home");
  expect(await page.getByRole("treeitem").count()).toBeLessThan(100);
  expect(await seriousFindings(page)).toEqual([]);
  expect(problems).toEqual([]);
});
