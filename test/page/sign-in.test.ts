import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openBrowser } from "../support/browser.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { makeHostDirectories, type TestDirectories } from "../support/host-directories.ts";
import { openPage } from "../support/page.ts";

const stack = new AsyncDisposableStack();
let place: TestDirectories;
let browser: Browser;
beforeAll(async () => {
  place = stack.use(await makeHostDirectories());
  await place.configure({});
  browser = stack.use(await openBrowser());
});
afterAll(() => stack.disposeAsync());

test("a browser is let in by the address that ui prints, and nothing of the code stays in it", async () => {
  await using opened = await openPage(place, browser);
  const { page, problems, url } = opened;
  await page.getByRole("list").waitFor({ state: "attached" });
  expect(page.url()).toBe(`${new URL(url).origin}/#/`);
  expect(await page.evaluate<number>("history.length")).toBeLessThanOrEqual(2);
  const [cookie, ...others] = await page.context().cookies();
  expect(others).toEqual([]);
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict", path: "/", expires: -1 });
  expect(cookie!.name).toBe(`claudecluster-${new URL(url).port}`);
  await page.reload();
  await page.getByRole("list").waitFor({ state: "attached" });
  expect(problems).toEqual([]);
});

test("the code counts once, and not in another browser", async () => {
  await using opened = await openPage(place, browser);
  const other = await browser.newContext();
  const page = await other.newPage();
  await page.goto(opened.url);
  await page.getByRole("heading", { name: "Not signed in" }).waitFor();
  await other.close();
});

test("ui opens the browser of a person who sits at a screen, and prints the address where none opens", async () => {
  const bin = join(place.root, "bin");
  await mkdir(bin);
  const opened = join(place.root, "opened");
  await writeFile(join(bin, "xdg-open"), `#!/bin/sh\necho "$1" > ${opened}\n`, { mode: 0o700 });
  const PATH = `${bin}:${place.env["PATH"]}`;
  const screen = await claudecluster(place, ["ui"], { env: { PATH, DISPLAY: ":0" } });
  expect(screen).toMatchObject({ code: 0, stdout: "The page opens in your browser.\n" });
  const page = await browser.newPage();
  await page.goto((await readFile(opened, "utf8")).trim());
  await page.getByRole("list").waitFor({ state: "attached" });
  await page.close();
  await writeFile(join(bin, "xdg-open"), "#!/bin/sh\nexit 3\n");
  for (const env of [{ PATH, DISPLAY: ":0" }, { PATH }]) {
    const { stdout } = await claudecluster(place, ["ui"], { env });
    expect(stdout).toMatch(/^No browser could be opened\.[^\n]*\nhttp:\/\/127\.0\.0\.1:\d+\/#code=[\w-]{22}\n$/);
  }
});

test("ui --sign-out signs a browser out that is looking", async () => {
  await using opened = await openPage(place, browser);
  const { page, url } = opened;
  await page.getByRole("list").waitFor({ state: "attached" });
  const { stdout } = await claudecluster(place, ["ui", "--sign-out"]);
  expect(stdout).toBe("Every browser is signed out.\n");
  await page.getByText("The host does not answer").waitFor();
  await expect(fetch(new URL(url).origin)).rejects.toThrow("fetch failed");
});
