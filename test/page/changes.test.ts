import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ContainerSpecSchema, RepositorySpecSchema, SessionSpecSchema } from "../../proto/index.ts";
import { byHeart } from "../model/by-heart.ts";
import { seriousFindings } from "../support/axe.ts";
import { openBrowser } from "../support/browser.ts";
import { openPage } from "../support/page.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

const bash = (command: string) => ({ name: "Bash", input: { command, description: "Change files" } });
const MARKUP = "<img src=x onerror=alert(1)>";
/** A change of every kind, in names and contents that nobody should trust. */
const COMMANDS = [
  "mkdir -p src/deep/er && printf 'export const one: number = 1;\\nexport const two = \"2\";\\n' > src/deep/er/a.ts",
  "seq 1 10000 > large.txt",
  "printf '\\0\\1\\2' > picture.bin",
  `printf '%s\\n\\033[31m\\342\\200\\256\\r\\n' '${MARKUP}' > "$(printf '<b>\\342\\200\\256\\033.html')"`,
  "sed -i 's/ello/allo/' greeter.py README.md || true",
];
const SCRIPT = byHeart({
  "Change much": `[scenario: call-tools ${JSON.stringify(COMMANDS.map(bash))}]`,
});

const stack = new AsyncDisposableStack();
let rig: HostRig;
let browser: Browser;
beforeAll(async () => {
  rig = stack.use(await startHostRig({ scenarios: [SCRIPT] }));
  browser = stack.use(await openBrowser());
});
afterAll(() => stack.disposeAsync());

async function start(task: string): Promise<string> {
  const spec = create(SessionSpecSchema, {
    task,
    idleTimeout: durationFromMs(120_000),
    repository: create(RepositorySpecSchema, { uri: rig.repository }),
  });
  return (await rig.sessions.create({ spec, container: create(ContainerSpecSchema), requestId: "" })).id;
}

const item = (page: Page, name: string | RegExp) => page.getByRole("treeitem", { name });

async function comment(page: Page, line: RegExp, text: string): Promise<void> {
  await page.getByRole("row", { name: line }).locator(".mark").click();
  await page.getByRole("textbox", { name: /^Comment on / }).fill(text);
  await page.keyboard.press("Control+Enter");
}

test("changes are seen as they are made, commented on, and the comments sent as one message", async () => {
  const id = await start("Change much");
  await using opened = await openPage(rig.place, browser);
  const { page, problems } = opened;
  const address = new URL(`/#/session/${id}/changes`, page.url()).href;
  await page.goto(address);
  await item(page, "picture.bin").waitFor();
  await page.getByText("live", { exact: true }).waitFor();
  await item(page, /^.{0,3}src\/deep\/er .*\+2/s).waitFor();
  await item(page, "<b>⟨U+202E⟩⟨U+001B⟩.html").click();
  await page.getByText(MARKUP).waitFor();
  await page.getByText("⟨U+001B⟩[31m⟨U+202E⟩").waitFor();
  await item(page, "picture.bin").click();
  await page.getByText("Binary file, 3 bytes now.").waitFor();
  await item(page, "large.txt").click();
  await page.getByText("10,000 lines, more than 2,000.").waitFor();
  expect(await seriousFindings(page)).toEqual([]);

  // By the keys alone: to the file, and to a line of it.
  await page.getByRole("searchbox").focus();
  await page.keyboard.type("A.TS");
  await expect.poll(() => page.getByRole("treeitem").count()).toBe(2);
  await page.getByRole("tree").focus();
  await page.keyboard.press("a");
  await page.keyboard.press("Enter");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("c");
  await page.keyboard.type("Why a number?");
  // A reload loses nothing, not even what is being written.
  await page.reload();
  await page.getByRole("textbox", { name: "Comment on src/deep/er/a.ts:1" }).press("Control+Enter");
  await comment(page, /two = "2"/, `Not this: ${MARKUP}`);
  await page.getByRole("region", { name: "Comments" }).getByText(MARKUP).waitFor();
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 400, height: 800 });
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(400);
  expect(await seriousFindings(page)).toEqual([]);
  await page.getByRole("button", { name: "Send 2 comments" }).click();
  await page.getByText("Sent as one message.").waitFor();

  // Who does not look keeps no connection, and has missed nothing.
  const hidden = (isHidden: boolean) =>
    page.evaluate(`Object.defineProperty(document, "hidden", { value: ${isHidden}, configurable: true });
      void document.dispatchEvent(new Event("visibilitychange"))`);
  const cutOff = page.waitForEvent("requestfailed", (request) => request.url().endsWith("/WatchEvents"));
  await hidden(true);
  await cutOff;
  await hidden(false);

  // What comes of it is seen at once.
  await item(page, "NOTES.md").click();
  await page.getByRole("treegrid").getByText("I looked at your changes and have 2 comments").waitFor();
  const sent = rig.model.requests
    .map(({ body }) => JSON.stringify(body))
    .filter((body) => body.includes("Why a number?"));
  expect(sent[0]).toContain(
    JSON.stringify(
      `src/deep/er/a.ts:1
> +export const one: number = 1;
Why a number?

src/deep/er/a.ts:2
> +export const two = "2";
Not this: ${MARKUP}`,
    ).slice(1, -1),
  );

  await rig.sessions.stop(id, { reason: "enough" });
  await page.getByText("live", { exact: true }).waitFor({ state: "detached" });
  await comment(page, /two = "2"/, "Later.");
  await page.getByRole("button", { name: "Go on in a new session with the comment" }).click();
  await page.getByRole("link", { name: "a session that goes on from this one" }).waitFor();
  const { sessions } = await rig.sessions.list({});
  expect(sessions[0]!.spec).toMatchObject({ previousSessionId: id, task: expect.stringContaining("Later.") as string });
  expect(problems).toEqual([]);
});
