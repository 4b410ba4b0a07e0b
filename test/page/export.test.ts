import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { seriousFindings } from "../support/axe.ts";
import { openBrowser } from "../support/browser.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { startHostRig } from "../support/rig.ts";

const EVIL = "</pre><script>document.title='evil'</script><img src=https://example.com/x onerror=alert(1)>";
const KEY = `sk-ant-api03-${"x".repeat(40)}`;

test("an exported session is one file that shows what happened, runs nothing and asks for nothing", async () => {
  await using rig = await startHostRig();
  await using browser = await openBrowser();
  const command = `echo "\u202egnp.exe ${EVIL} ${KEY}" | tee 'a<b>.txt'; yes a | head -c 300000 > large`;
  const calls = [{ name: "Bash", input: { command, description: EVIL } }];
  const task = `[scenario: call-tools ${JSON.stringify(calls)}]`;
  const run = await claudecluster(rig.place, ["run", "-r", rig.repository, "--json", task]);
  const { session_id: id } = JSON.parse(run.stdout) as { session_id: string };
  const file = join(rig.place.root, "session.html");
  const made = await claudecluster(rig.place, ["export", id, file]);
  expect(made.stdout, made.stderr).toContain("session.html: ");
  expect((await claudecluster(rig.place, ["export", id, file])).stderr).toContain("FILE_UNUSABLE");
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const text = await readFile(file, "utf8");
  for (const secret of [KEY, rig.key]) expect(text).not.toContain(secret);

  const context = await browser.newContext({ viewport: { width: 400, height: 800 } });
  const page = await context.newPage();
  const requests: string[] = [];
  const problems: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("console", (message) => problems.push(message.text()));
  page.on("dialog", (dialog) => void dialog.dismiss().then(() => problems.push("dialog")));
  const { href } = pathToFileURL(file);
  await page.goto(href);
  expect(requests).toEqual([href]);
  expect(problems).toEqual([]);
  expect(await page.title()).toContain("scenario: call-tools");
  expect(await page.locator("script, img, iframe, a, form, link, base, object").count()).toBe(0);
  // Its own style counts: it is what the policy allows.
  expect(await page.evaluate<string>("getComputedStyle(document.body).maxWidth")).toMatch(/px$/);
  const shown = await page.locator("main").innerText();
  for (const expected of [
    "succeeded",
    "first_request",
    "Claude uses Bash",
    "a<b>.txt",
    "<script>",
    "[secret-left-out]",
    "$0.",
  ]) {
    expect(shown).toContain(expected);
  }
  expect(await page.locator(".diff", { hasText: "gnp.exe" }).innerText({ timeout: 3000 })).toMatch(
    /^\+U\+202Egnp\.exe <\/pre><script>/m,
  );
  expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(400);
  expect(await seriousFindings(page)).toEqual([]);
  await context.close();
});
