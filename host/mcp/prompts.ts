import { readFileSync } from "node:fs";
import { completable, type McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";
import type { Sessions } from "../session/sessions.ts";
import { completeSession } from "./complete-session.ts";

/** Texts of the skills by their names, set by the build. From source they are read from their files. */
declare const CLAUDECLUSTER_SKILLS: Readonly<Record<string, string>> | undefined;

const NAMES = ["fan-out", "review-and-apply", "compare"] as const;

/** Skill of the plugin, and prompt of the server. */
interface Skill {
  name: string;
  description: string;
  /** Words for its argument. */
  hint: string;
  /** Text with "$ARGUMENTS" in the place of the argument. */
  text: string;
}

/** Returns the skills, from the same files that the plugin gives to Claude Code. */
function readSkills(): Skill[] {
  return NAMES.map((name) => parseSkill(name, skillFile(name)));
}

function skillFile(name: string): string {
  if (typeof CLAUDECLUSTER_SKILLS !== "undefined") return CLAUDECLUSTER_SKILLS[name]!;
  return readFileSync(new URL(`../../.claude-plugin/skills/${name}/SKILL.md`, import.meta.url), "utf8");
}

function parseSkill(name: string, file: string): Skill {
  const [, head = "", text = ""] = /^---\n(.*?)\n---\n\n(.*)$/s.exec(file) ?? [];
  const entry = (key: string) => new RegExp(`^${key}: "?(.*?)"?$`, "m").exec(head)?.[1] ?? "";
  return { name, description: entry("description"), hint: entry("argument-hint"), text };
}

/** Adds the skills as prompts, each with an argument that may be left out. */
export function registerPrompts(server: McpServer, sessions: Sessions): void {
  for (const { name, description, hint, text } of readSkills()) {
    const given = z.string().describe(hint.replace(/^\[|\]$/g, ""));
    const argument = /session/.test(hint) ? completable(given, (start) => completeSession(sessions, start)) : given;
    server.registerPrompt(
      name,
      { title: name, description, argsSchema: z.object({ arguments: argument.optional() }) },
      ({ arguments: said = "" }) => ({
        messages: [{ role: "user", content: { type: "text", text: text.replace("$ARGUMENTS", () => said) } }],
      }),
    );
  }
}
