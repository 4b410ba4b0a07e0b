import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { HostLink } from "../daemon/host-link.ts";
import { type CommandIo, EXIT } from "./command-io.ts";

/** Time after which what opens a browser has not failed (ms). */
const OPENED_MS = 2_000;

/** Opens the host's page in a browser, or prints its address, or signs out every browser. Throws what openPage throws. */
export async function uiCommand(
  link: HostLink,
  { open, signOut }: { open: boolean; signOut: boolean },
  io: CommandIo,
): Promise<number> {
  if (signOut) {
    if ((await link.find()) !== undefined) await link.closePage();
    io.stdout.write("Every browser is signed out.\n");
    return EXIT.done;
  }
  const url = await link.openPage();
  if (!open) {
    io.stdout.write(`${url}\n`);
    return EXIT.done;
  }
  if (await openInBrowser(url, io.env)) io.stdout.write("The page opens in your browser.\n");
  else io.stdout.write(`No browser could be opened. For a minute, and once, this lets one in:\n${url}\n`);
  return EXIT.done;
}

/**
 * Opens an address that is a secret. macOS gets it by standard input. On Linux others of the machine may see it in a command
 * line, and cannot use it: the host looks whose socket it is (`mayBeOurs`). A file of ours that leads there would not do: the
 * browsers of snap and flatpak may not read it. Returns whether that worked as far as it is known soon.
 */
async function openInBrowser(url: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const mac = process.platform === "darwin";
  // Without a screen it would open a browser in the terminal.
  if (!mac && !env["DISPLAY"] && !env["WAYLAND_DISPLAY"]) return false;
  const [program, ...args] = mac ? ["osascript", "-"] : ["xdg-open", url];
  const child = spawn(program!, args, { env, detached: true, stdio: [mac ? "pipe" : "ignore", "ignore", "ignore"] });
  child.stdin?.on("error", () => {}).end(`open location "${url}"\n`);
  const exited = once(child, "exit").then(([code]) => code === 0);
  const done = new AbortController();
  try {
    // Some stay for as long as the browser does.
    return await Promise.race([exited, sleep(OPENED_MS, true, { signal: done.signal })]);
  } catch {
    return false;
  } finally {
    done.abort();
    child.unref();
  }
}
