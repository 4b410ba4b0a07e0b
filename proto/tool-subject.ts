import { cutChars } from "./cut.ts";

const MAX_INPUT_CHARS = 64 * 1024;

/** Returns what a tool is used on, as its input says it: the value that says most. */
export function toolSubject(inputJson: string): string {
  // No agent's is as long, and this one may be made to take long.
  if (inputJson.length > MAX_INPUT_CHARS) return cutChars(inputJson, MAX_INPUT_CHARS);
  let input: unknown;
  try {
    input = JSON.parse(inputJson);
  } catch {
    // A cut input is no JSON.
    return inputJson;
  }
  if (typeof input !== "object" || input === null) return inputJson;
  for (const name of ["command", "file_path", "path", "pattern", "url", "query", "description", "prompt"]) {
    const value = (input as Record<string, unknown>)[name];
    if (typeof value === "string") return value.replace(/^\/workspace\/repo\//, "");
  }
  return inputJson;
}
