import { join } from "node:path";
import { build } from "esbuild";
import type { BrowserContext, Page } from "playwright-core";

const ROOT = join(import.meta.dirname, "../..");
/** As the host serves the page, and no stricter. */
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'";

/** Opens a document with some of the page's elements and nothing else, under the page's policy. No server is there. */
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
    if (name === "main.js") await route.fulfill({ contentType: "text/javascript", body: outputFiles[0]!.text });
    else if (name === "style.css") await route.fulfill({ path: join(ROOT, "host/page/style.css") });
    else await route.fulfill({ contentType: "text/html", body: html, headers: { "content-security-policy": CSP } });
  });
  await page.goto("http://localhost/");
  return page;
}
