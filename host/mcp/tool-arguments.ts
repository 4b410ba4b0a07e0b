import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import * as z from "zod";
import { nearestName } from "../nearest-name.ts";
import { asMeant } from "./as-meant.ts";
import { rightArguments } from "./right-form.ts";

/** Schema of a tool's arguments, as the SDK takes it. */
export type ToolArguments<Shape extends z.ZodRawShape> = StandardSchemaWithJSON<
  z.input<z.ZodObject<Shape>>,
  z.output<z.ZodObject<Shape>>
>;

/** A session as a tool takes it. */
export const sessionId = z.string().describe("The session's id, or its last 4 characters or more.");

/**
 * Returns the schema of a tool's arguments. What a model wrote wrong but plainly is taken: see `asMeant`. Anything else is
 * refused by the argument's name, with what it takes; unknown ones with the most similar known one; and at the end stand
 * arguments that are right. Of `exactlyOne` just one has to be there, which clients' schemas cannot say.
 */
export function toolArguments<Shape extends z.ZodRawShape>(
  shape: Shape,
  { exactlyOne = [] }: { exactlyOne?: readonly (keyof Shape & string)[] } = {},
): ToolArguments<Shape> {
  const known = Object.keys(shape);
  const schema = z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys" ? (issue.keys ?? []).map((key) => unknown(key, known)).join(" ") : undefined,
  });
  // Without "$schema", whose value a client of another dialect refuses: what is said here is the same in all.
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, { io: "input" });
  return {
    "~standard": {
      ...schema["~standard"],
      jsonSchema: { input: () => json, output: () => json },
      validate: (value: unknown) => {
        const meant = asMeant(value, json);
        const parsed = schema.safeParse(meant);
        const given = exactlyOne.filter((name) => Object.hasOwn(Object(meant) as object, name));
        if (parsed.success && (exactlyOne.length === 0 || given.length === 1)) return { value: parsed.data };
        const issues = (parsed.error?.issues ?? []).map((issue): { path: PropertyKey[]; message: string } => ({
          path: issue.path,
          message: refusal(issue, json),
        }));
        const wrong = new Set(issues.map(({ path }) => String(path[0] ?? "")));
        if (exactlyOne.length > 0 && given.length !== 1) {
          const all = exactlyOne.join(" or ");
          issues.push({ path: [], message: given.length === 0 ? `Give ${all}.` : `Give ${all}, not both.` });
          if (given.length === 0) wrong.add(exactlyOne[0]!);
        }
        const others = new Set(exactlyOne.filter((name) => name !== (given[0] ?? exactlyOne[0])));
        const right = Object.entries(rightArguments(meant, wrong, json)).filter(([name]) => !others.has(name));
        issues.at(-1)!.message += ` Right would be: ${JSON.stringify(Object.fromEntries(right))}`;
        return { issues };
      },
    },
  };
}

function unknown(given: string, known: readonly string[]): string {
  const nearest = nearestName(given, known);
  const hint = nearest === undefined ? `Known are ${known.join(", ")}.` : `Did you mean ${nearest}?`;
  return `There is no argument ${JSON.stringify(given.slice(0, 64))}. ${hint}`;
}

/** What is wrong with an argument, and what it takes. */
function refusal(issue: z.core.$ZodIssue, { properties = {} }: z.core.JSONSchema.BaseSchema): string {
  const property = properties[String(issue.path[0])];
  if (property === undefined || typeof property === "boolean") return issue.message;
  const { description = "", ...form } = property;
  const wrong = issue.message.endsWith("received undefined") ? "is missing" : issue.message;
  return `${wrong}. ${description} JSON Schema: ${JSON.stringify(form)}`.replace("  ", " ");
}
