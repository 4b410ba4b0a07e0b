import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { promisify } from "node:util";
import { expect, vi } from "vitest";

export interface TerminalOptions {
  readonly command: readonly string[];
  readonly cwd: string;
  /** All variables that the command has, beside TERM and those that tmux sets. */
  readonly env: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly rows?: number;
}

/** A real terminal with a program in it, by tmux. Disposing of it ends both. */
export interface Terminal extends AsyncDisposable {
  /** What is to be seen, line by line, without what scrolled by. */
  screen(): Promise<string>;
  /** Types text, as it is. */
  type(text: string): Promise<void>;
  /** Presses keys, by tmux's names: Enter, Escape, Down, C-c. */
  press(...keys: readonly string[]): Promise<void>;
  /** Waits until the screen shows it, and returns that screen. */
  shows(pattern: RegExp, timeoutMs?: number): Promise<string>;
  /** Waits until the program has ended, and returns the last screen. */
  ended(timeoutMs?: number): Promise<string>;
}

/** Starts a program in a terminal of its own. */
export async function startTerminal({
  command,
  cwd,
  env,
  columns = 120,
  rows = 40,
}: TerminalOptions): Promise<Terminal> {
  const server = `claudecluster-${randomUUID()}`;
  // A server of its own has this environment and no user's settings.
  const tmux = async (...args: readonly string[]) =>
    (await promisify(execFile)("tmux", ["-L", server, "-f", "/dev/null", ...args], { cwd, env })).stdout;
  await tmux(
    ...["start-server", ";", "set-option", "-g", "remain-on-exit", "on", ";", "set-option", "-g", "status", "off", ";"],
    ...["set-option", "-g", "default-terminal", "tmux-256color", ";", "set-option", "-g", "focus-events", "on", ";"],
    ...["new-session", "-d", "-x", String(columns), "-y", String(rows), "--", ...command],
  );
  const pid = Number(await tmux("display-message", "-p", "#{pane_pid}"));
  const screen = async () => await tmux("capture-pane", "-p");
  const until = async (holds: (screen: string) => Promise<boolean>, what: string, timeout: number) =>
    vi.waitFor(
      async () => {
        const seen = await screen();
        if (!(await holds(seen))) throw new Error(`The screen does not show ${what}:\n${seen}`);
        return seen;
      },
      { timeout, interval: 100 },
    );
  return {
    screen,
    type: async (text) => void (await tmux("send-keys", "-l", "--", text)),
    press: async (...keys) => void (await tmux("send-keys", ...keys)),
    shows: (pattern, timeoutMs = 60_000) =>
      until((seen) => Promise.resolve(pattern.test(seen)), String(pattern), timeoutMs),
    ended: (timeoutMs = 60_000) =>
      until(async () => (await tmux("display-message", "-p", "#{pane_dead}")).trim() === "1", "an end", timeoutMs),
    async [Symbol.asyncDispose]() {
      await tmux("kill-server");
      // It has been sent SIGHUP, and may write to its home until it has gone.
      await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 10_000, interval: 50 });
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
