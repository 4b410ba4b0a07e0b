import { expect, vi } from "vitest";
import type { ScriptedModel } from "../model/scripted-model.ts";
import type { Terminal } from "./terminal.ts";

/** Says something to a Claude Code in its terminal, as a person does. */
export async function say(claude: Terminal, text: string): Promise<void> {
  await claude.type(text);
  // Together they would count as pasted, and Enter as a line's end in it.
  await claude.shows(new RegExp(`^❯.${text.replaceAll(/\W/g, "\\$&")}`, "m"));
  await claude.press("Enter");
}

/** Opens what Claude Code shows of the one task that it has. */
export async function openTask(claude: Terminal): Promise<void> {
  await claude.shows(/1 MCP task · (?:needs your input · )?↓ to manage/);
  await press(claude, "Down", /enter to view tasks/);
  await press(claude, "Enter", /Status: +\w/);
}

/** Presses a key until the screen shows what it leads to: what is very new takes no keys yet. */
export async function press(claude: Terminal, key: string, next: RegExp): Promise<void> {
  await vi.waitFor(
    async () => {
      if (next.test(await claude.screen())) return;
      await claude.press(key);
      await claude.shows(next, 1_500);
    },
    { timeout: 30_000, interval: 10 },
  );
}

/** Waits until models have been told something, of Claude Code or of a person. */
export async function told(model: ScriptedModel, pattern: RegExp): Promise<void> {
  // Line ends within a text are escaped; a pattern's dot matches them so.
  const all = () => JSON.stringify(model.requests.map(({ body }) => body));
  await vi.waitFor(() => expect(pattern.test(all()), `told ${pattern}`).toBe(true), { timeout: 60_000, interval: 200 });
}
