import type * as z from "zod";

type Schema = z.core.JSONSchema.BaseSchema;

const NUMBER = /^-?\d+(\.\d+)?$/;

/**
 * Returns arguments as they were meant where only one thing can be meant: numbers, booleans, lists and objects as text;
 * `null` and "" for what may be absent; one value for a list of one; a whole number for text. Everything else is left for
 * its schema to refuse.
 */
export function asMeant(value: unknown, schema: Schema): unknown {
  const parsed = typeof value === "string" && kindsOf(schema).has("object") ? fromJson(value) : value;
  if (!isObject(parsed)) return parsed;
  const required = new Set(schema.required);
  const entries = Object.entries(parsed).flatMap(([name, member]) => {
    const own = schema.properties?.[name] ?? schema.additionalProperties;
    if (own === undefined || typeof own === "boolean") return [[name, member] as const];
    const absent = member === null || (member === "" && schema.properties !== undefined);
    return absent && !required.has(name) ? [] : [[name, oneAsMeant(member, own)] as const];
  });
  return Object.fromEntries(entries);
}

function oneAsMeant(value: unknown, schema: Schema): unknown {
  const kinds = kindsOf(schema);
  if (kinds.has("string") && (typeof value === "boolean" || Number.isSafeInteger(value)) && kinds.size === 1) {
    return String(value);
  }
  if (typeof value === "string" && !takes(value, schema)) {
    const text = value.trim();
    if ((kinds.has("number") || kinds.has("integer")) && NUMBER.test(text)) return Number(text);
    if (kinds.has("boolean") && /^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
    if (kinds.has("object")) return asMeant(value, schema);
    if (kinds.has("array")) return listAsMeant(text, schema);
    return value;
  }
  if (kinds.has("array") && Array.isArray(value)) return itemsAsMeant(value, schema);
  return kinds.has("object") ? asMeant(value, schema) : value;
}

/** A list as JSON, or its only item. Of a text with commas nobody knows whether it is one. */
function listAsMeant(text: string, schema: Schema): unknown {
  const parsed = fromJson(text);
  if (Array.isArray(parsed)) return itemsAsMeant(parsed, schema);
  return /[,\n]/.test(text) || text.startsWith("[") ? text : itemsAsMeant([text], schema);
}

function itemsAsMeant(items: readonly unknown[], { items: item }: Schema): unknown[] {
  if (item === undefined || typeof item === "boolean" || Array.isArray(item)) return [...items];
  const own = item as Schema;
  // A text in a list of lists is one of them, whatever it holds.
  return items.map((each) => (kindsOf(own).has("array") && typeof each === "string" ? [each] : oneAsMeant(each, own)));
}

/** Whether a text is what the schema takes as it is. */
function takes(text: string, schema: Schema): boolean {
  if (schema.anyOf !== undefined) return schema.anyOf.some((each) => typeof each !== "boolean" && takes(text, each));
  if (schema.const !== undefined) return schema.const === text;
  return schema.type === "string";
}

function kindsOf({ type, anyOf }: Schema): Set<string> {
  if (anyOf !== undefined)
    return new Set(anyOf.flatMap((each) => (typeof each === "boolean" ? [] : [...kindsOf(each)])));
  return new Set(type === undefined ? [] : Array.isArray(type) ? type : [type]);
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
