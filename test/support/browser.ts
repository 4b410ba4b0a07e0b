import { type Browser, chromium } from "playwright-core";
import { chromiumPath } from "../setup/test-tools.mjs";

/** Starts Chromium without a window, as Debian has it. Whoever opens it closes it (`await using`). */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath(),
    // It has a small /dev/shm in a container, and root has no sandbox.
    args: ["--disable-dev-shm-usage"],
    chromiumSandbox: false,
  });
}
