import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";

/** Takes the picture of a page that the README shows under this name, where the tests run with SCREENS=write. */
export async function pictureForReadme(name: string, page: Page): Promise<void> {
  if (process.env["SCREENS"] !== "write") return;
  const path = fileURLToPath(new URL(`../page/pictures/${name}.png`, import.meta.url));
  await page.screenshot({ path, animations: "disabled" });
}
