import type { Claude } from "./claude-cli.ts";

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/**
 * Claude Code's output without what belongs to one machine and run: the workspace becomes /workspace, home
 * /home/agent, ids are numbered in the order they appear. Times stay as they were.
 */
export function scrub(text: string, { workspace, root }: Pick<Claude, "workspace" | "root">): string {
  const numbers = new Map<string, number>();
  const numbered = (id: string): string => {
    const number = numbers.get(id) ?? numbers.size + 1;
    numbers.set(id, number);
    return `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
  };
  return text
    .replaceAll(workspace, "/workspace")
    .replaceAll(`${root}/home`, "/home/agent")
    .replaceAll(root, "/tmp")
    .replaceAll(workspace.replaceAll(/[^a-zA-Z0-9]/g, "-"), "-workspace")
    .replaceAll(/\/cc-socks\/\d+\.sock/g, "/cc-socks/1.sock")
    .replaceAll(UUID, numbered);
}
