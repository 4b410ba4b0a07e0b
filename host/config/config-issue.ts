import type * as z from "zod";

type Issue = z.core.$ZodIssue;

/** What an entry's name may look like to be shown: nothing that is a secret does. */
const NAME = /^[A-Za-z_]{1,40}$/;

/** Returns a sentence on which entry is wrong and what is expected. It repeats no value. */
export function describeIssue(issue: Issue): string {
  const at = issue.path.map((part) => (typeof part === "number" ? part + 1 : String(part))).join(" → ");
  if (issue.code === "unrecognized_keys") {
    const names = issue.keys.map((key) => (NAME.test(key) ? `"${key}"` : "an entry with another name"));
    return `${at === "" ? "" : `${at}: `}${[...new Set(names)].join(" and ")} is not known`;
  }
  return `${at === "" ? "the whole" : at} must be ${expected(issue)}`;
}

/** Returns in a few words what an entry must be: "a list", "at least 1". */
export function expected(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return TYPES[issue.expected] ?? `a ${issue.expected}`;
    case "too_small":
      if (issue.origin === "string" || issue.origin === "array") return "longer: it is empty";
      return `${issue.inclusive === true ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      return `at most ${issue.maximum}`;
    case "invalid_value":
      return `one of ${issue.values.map(String).join(", ")}`;
    default:
      return "as in host/README.md";
  }
}

const TYPES: Record<string, string> = {
  array: 'a list: ["…"]',
  object: "an object: { … }",
  record: "an object: { … }",
  int: "a whole number",
  boolean: "true or false",
  string: 'text: "…"',
};
