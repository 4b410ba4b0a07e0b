import { expect, test } from "vitest";
import { seriousFindings } from "../support/axe.ts";
import { openBrowser } from "../support/browser.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { openPage } from "../support/page.ts";
import { startHostRig } from "../support/rig.ts";

test("what sessions have used is a chart and a table, by whatever one chooses, as the command line has it", async () => {
  await using rig = await startHostRig();
  await using browser = await openBrowser();
  await claudecluster(rig.place, ["run", "-r", rig.repository, "[scenario: small-edit]"]);
  await using opened = await openPage(rig.place, browser, { viewport: { width: 400, height: 800 } });
  const { page, problems } = opened;
  await page.getByRole("link", { name: "Usage" }).click();
  const today = new Date().toISOString().slice(0, 10);
  await page.getByRole("row", { name: new RegExp(`^${today} 1 `) }).waitFor();
  expect(await page.locator("cc-usage svg rect").count()).toBe(30);
  await page.locator("cc-usage").getByLabel("By").selectOption("Repository");
  const row = page.getByRole("row", { name: rig.repository });
  await row.waitFor();
  const cells = await row.getByRole("cell").allInnerTexts();
  const told = await claudecluster(rig.place, ["usage", "--by", "repository"]);
  expect(told.stdout).toContain(cells.at(-1));
  expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(400);
  expect(await seriousFindings(page)).toEqual([]);
  expect(problems).toEqual([]);
});
