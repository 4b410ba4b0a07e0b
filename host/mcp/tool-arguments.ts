import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import * as z from "zod";
import { nearestName } from "../nearest-name.ts";
import { asMeant } from "./as-meant.ts";

/** Schema of a tool's arguments, as the SDK takes it. */
export type ToolArguments<Shape extends z.ZodRawShape> = StandardSchemaWithJSON<
  z.input<z.ZodObject<Shape>>,
  z.output<z.ZodObject<Shape>>
>;

/**
 * Returns the schema of a tool's arguments. What a model wrote wrong but plainly is taken: see `asMeant`. Anything else is
 * refused by the argument's name, with what it takes; unknown ones with the most similar known one.
 */
export function toolArguments<Shape extends z.ZodRawShape>(shape: Shape): ToolArguments<Shape> {
  const schema = z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? (issue.keys ?? []).map((key) => unknown(key, Object.keys(shape))).join(" ")
        : undefined,
  });
  const json = z.toJSONSchema(schema, { io: "input" });
  const standard = schema["~standard"];
  return {
    "~standard": {
      ...standard,
      validate: (value: unknown) => {
        const parsed = schema.safeParse(asMeant(value, json));
        if (parsed.success) return { value: parsed.data };
        return { issues: parsed.error.issues.map((issue) => ({ ...issue, message: refusal(issue, json) })) };
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
