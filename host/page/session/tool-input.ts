/** Longer ones are shown as they are: reading them would take long. */
const MAX_JSON_CHARS = 256 * 1024;

/**
 * Returns the input of a tool for people: each value under its name, texts as they are and not as JSON escapes them. An
 * input that is cut, and so no JSON, stays as it is.
 */
export function toolInputText(inputJson: string): string {
  if (inputJson.length > MAX_JSON_CHARS) return inputJson;
  let input: unknown;
  try {
    input = JSON.parse(inputJson);
  } catch {
    return inputJson;
  }
  if (typeof input !== "object" || input === null || Array.isArray(input)) return inputJson;
  return Object.entries(input)
    .map(([name, value]) => {
      const text = typeof value === "string" ? value : JSON.stringify(value, undefined, 2);
      return text.includes("\n") ? `${JSON.stringify(name)}:\n${text}` : `${JSON.stringify(name)}: ${text}`;
    })
    .join("\n");
}
