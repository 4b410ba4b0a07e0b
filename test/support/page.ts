import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { expect } from "vitest";
import { claudecluster } from "./claudecluster.ts";
import type { TestDirectories } from "./host-directories.ts";

/** The host's page in a browser of its own. */
export interface OpenedPage extends AsyncDisposable {
  page: Page;
  /** What the browser complained of: errors of the program, refused by the content security policy, not loaded. */
  problems: readonly string[];
  /** The address that let it in; it counts no more. */
  url: string;
}

/** Signs a new browser profile in, as `claudecluster ui` does; by way of another port of this machine, if there is one. */
export async function openPage(
  place: TestDirectories,
  browser: Browser,
  { through, ...options }: BrowserContextOptions & { through?: (port: number) => Promise<number> } = {},
): Promise<OpenedPage> {
  const { stdout, stderr } = await claudecluster(place, ["ui", "--no-open"]);
  expect(stdout, stderr).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#code=[\w-]{22}\n$/);
  const address = new URL(stdout.trim());
  if (through !== undefined) address.port = String(await through(Number(address.port)));
  const url = address.href;
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") problems.push(message.text());
  });
  await page.goto(url);
  await page.getByRole("navigation").waitFor();
  return { page, problems, url, [Symbol.asyncDispose]: () => context.close() };
}
