import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openBrowser } from "../support/browser.ts";

const PAGE = join(import.meta.dirname, "../../dist/host/page");
const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

test("the bundled page runs in a browser", async () => {
  const server = createServer((request, response) => {
    const name = request.url === "/" ? "index.html" : request.url!.slice(1);
    readFile(join(PAGE, name)).then(
      (content) => response.setHeader("content-type", TYPES[extname(name)]!).end(content),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  await using browser = await openBrowser();
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  expect(await page.getByRole("heading", { level: 1 }).innerText()).toBe("ClaudeCluster");
});
