import { join } from "node:path";
import { build } from "esbuild";
import type { BrowserContext, Page } from "playwright-core";
import { SECURITY_HEADERS } from "../../host/page-server/security-headers.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Opens a document with some of the page's elements and nothing else, under the host's headers. No server is there. */
export async function openParts(
  context: BrowserContext,
  { script, body }: { script: string; body: string },
): Promise<Page> {
  const { outputFiles } = await build({
    stdin: { contents: script, resolveDir: join(ROOT, "host/page"), loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    target: ["chrome120"],
  });
  const page = await context.newPage();
  const html = `<!doctype html><html lang="en"><head><title>Parts</title><meta name="viewport" content="width=device-width">
    <link rel="stylesheet" href="style.css"><script type="module" src="main.js"></script></head><body>${body}</body></html>`;
  await page.route("**/*", async (route) => {
    const name = new URL(route.request().url()).pathname.slice(1);
    const answer = (content: { contentType: string; body?: string; path?: string }) =>
      route.fulfill({ ...content, headers: { ...SECURITY_HEADERS, "content-type": content.contentType } });
    if (name === "main.js") await answer({ contentType: "text/javascript", body: outputFiles[0]!.text });
    else if (name === "style.css") await answer({ contentType: "text/css", path: join(ROOT, "host/page/style.css") });
    else await answer({ contentType: "text/html", body: html });
  });
  await page.goto("http://localhost/");
  return page;
}
