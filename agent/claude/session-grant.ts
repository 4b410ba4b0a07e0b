import { cutText } from "../../proto/index.ts";
import { type JsonObject, listOf, objectOf, textOf } from "./json.ts";
import type { PermissionRequest } from "./parse.ts";

/** What allowing a request for the session comes to. */
export interface SessionGrant {
  /** What Claude need not ask for any more, in Claude Code's rule syntax. */
  rules: string[];
  /** The same as Claude Code takes it with an answer. It keeps it for as long as it runs. */
  updates: JsonObject[];
}

const MAX_RULES = 16;
const RULE_BYTES = 512;

/**
 * Returns what allowing a request for the session comes to: the rules that Claude Code proposes with it, or the tool by its
 * name where it proposes none.
 */
export function sessionGrant({ toolName, suggestions }: PermissionRequest): SessionGrant {
  const proposed = suggestions
    .filter(({ type, behavior }) => type === "addRules" && behavior === "allow")
    .flatMap(({ rules }) => listOf(rules).map(objectOf))
    .filter((rule) => textOf(rule["toolName"]) !== "")
    .slice(0, MAX_RULES);
  const rules = proposed.length > 0 ? proposed : [{ toolName }];
  return {
    rules: rules.map(ruleText),
    updates: [{ type: "addRules", rules, behavior: "allow", destination: "session" }],
  };
}

function ruleText(rule: JsonObject): string {
  const content = textOf(rule["ruleContent"]);
  const text = content === "" ? textOf(rule["toolName"]) : `${textOf(rule["toolName"])}(${content})`;
  return cutText(text, RULE_BYTES).text;
}
