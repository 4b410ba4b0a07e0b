import { runInNewContext } from "node:vm";
import type { ValidateFunction } from "ajv";
import { AppError, cutChars, type SessionResult } from "../../proto/index.ts";

/** Largest schema of a result: it is an argument of Claude Code's (bytes). */
const MAX_SCHEMA_BYTES = 64 * 1024;
/** Longest that a result is looked at: a pattern may take for ever with a text that a container chose (ms). */
const PATIENCE_MS = 1000;
const OPTIONS = { strict: false, validateFormats: false, allErrors: false, logger: false } as const;

/** Checks the schema that a session's result is to have; none is fine. Throws SCHEMA_INVALID. */
export async function checkSchema(jsonSchema: string): Promise<void> {
  if (jsonSchema !== "") await compile(jsonSchema);
}

/**
 * Returns what is wrong with a result that is to have a schema, as an error RESULT_INVALID. Undefined: Claude's last answer is JSON
 * that has it. What comes out of a container is not believed: it is validated here, in a second at most.
 */
export async function findSchemaMismatch(
  { finalText, finalTextTruncated }: Pick<SessionResult, "finalText" | "finalTextTruncated">,
  jsonSchema: string,
): Promise<AppError | undefined> {
  const validate = await compile(jsonSchema);
  const value = finalTextTruncated ? undefined : parse(finalText);
  if (value === undefined) return mismatch(finalTextTruncated ? "it is longer than what is kept" : "it is no JSON");
  try {
    if (runInNewContext("validate(value)", { validate, value }, { timeout: PATIENCE_MS }) === true) return undefined;
  } catch {
    // A pattern that takes for ever, or a value that is nested too deep.
    return mismatch("it cannot be checked in a second");
  }
  const [{ instancePath = "", message = "" } = {}] = validate.errors ?? [];
  return mismatch(cutChars(`${instancePath === "" ? "the result" : instancePath} ${message}`, 300));
}

async function compile(jsonSchema: string): Promise<ValidateFunction> {
  if (Buffer.byteLength(jsonSchema) > MAX_SCHEMA_BYTES) throw invalid(`it has more than ${MAX_SCHEMA_BYTES} bytes`);
  const schema = parse(jsonSchema);
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) throw invalid("it is no JSON object");
  if ((schema as { type?: unknown }).type !== "object") throw invalid('its type has to be "object"');
  // Loaded where it is needed: a host starts without it.
  const { Ajv2020 } = (await import("ajv/dist/2020.js")).default;
  const { $schema: _dialect, ...own } = schema as Record<string, unknown>;
  try {
    return new Ajv2020(OPTIONS).compile(own);
  } catch (error) {
    throw invalid(cutChars(error instanceof Error ? error.message : String(error), 300));
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function invalid(why: string): AppError {
  return new AppError("SCHEMA_INVALID", `json_schema cannot be used: ${why}.`, {
    help: 'Give a JSON Schema such as {"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"]}.',
  });
}

function mismatch(why: string): AppError {
  return new AppError("RESULT_INVALID", `Claude's result is not what json_schema asks for: ${why}.`, {
    help: "Its changes are kept. Go on with the session, or ask for less.",
    metadata: { mismatch: why },
  });
}
