import type * as z from "zod";

type Schema = z.core.JSONSchema.BaseSchema;

/** Longest text of a caller's that is repeated to it. */
const MAX_REPEATED_CHARS = 60;

/**
 * Returns arguments as they would be right: what was given, as far as it is known and not wrong, with a right form for what is
 * wrong or missing. Long texts are "…".
 */
export function rightArguments(given: unknown, wrong: ReadonlySet<string>, schema: Schema): Record<string, unknown> {
  const known = Object.entries(schema.properties ?? {});
  const own = new Map(typeof given === "object" && given !== null ? Object.entries(given) : []);
  const required = new Set(schema.required);
  return Object.fromEntries(
    known.flatMap(([name, member]): [string, unknown][] => {
      if (typeof member === "boolean") return [];
      if (own.has(name) && !wrong.has(name)) return [[name, shortened(own.get(name))]];
      return required.has(name) || wrong.has(name) ? [[name, rightForm(member, name)]] : [];
    }),
  );
}

/** Returns a value that a schema takes: the first that it names, and for a text what shows its kind. */
export function rightForm(schema: Schema, name = ""): unknown {
  const { anyOf, enum: values, const: only, minimum = 1, items } = schema;
  if (only !== undefined) return only;
  if (values !== undefined) return values[0];
  const first = anyOf?.[0];
  if (first !== undefined && typeof first !== "boolean") return rightForm(first, name);
  switch (schema.type) {
    case "integer":
    case "number":
      return Math.max(minimum, 1);
    case "boolean":
      return true;
    case "array": {
      const item = items === undefined || typeof items === "boolean" || Array.isArray(items) ? {} : (items as Schema);
      return Array.from({ length: Math.max(1, schema.minItems ?? 1) }, () => rightForm(item, name));
    }
    case "object":
      return {};
    default:
      return /session|after/.test(name) ? "ses_…" : "…";
  }
}

function shortened(value: unknown): unknown {
  return JSON.stringify(value).length <= MAX_REPEATED_CHARS ? value : typeof value === "string" ? "…" : value;
}
