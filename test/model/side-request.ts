import type { MessagesRequest } from "./messages-request.ts";

/**
 * Answers Claude Code's requests beside the main loop (titles, summaries, quota probes). They come without
 * tools; some ask for JSON of a schema and get the smallest value that fits it.
 */
export function sideAnswer(request: MessagesRequest): string {
  const format = request.output_config?.format;
  if (format?.type === "json_schema") return JSON.stringify(sample(format.schema));
  return "Scripted answer";
}

function sample(schema: unknown): unknown {
  if (typeof schema !== "object" || schema === null) return null;
  if ("const" in schema) return schema.const;
  if ("enum" in schema && Array.isArray(schema.enum)) return schema.enum[0] as unknown;
  switch ("type" in schema ? schema.type : undefined) {
    case "object": {
      const properties =
        "properties" in schema && typeof schema.properties === "object" ? (schema.properties ?? {}) : {};
      return Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, sample(value)]));
    }
    case "array":
      return [];
    case "boolean":
      return false;
    case "number":
    case "integer":
      return 0;
    case "string":
      return "Scripted answer";
    default:
      return null;
  }
}
