/** What a scenario marker in a task says: `[scenario: name key=value key="two words" {"json": true}]`. */
export interface Marker {
  readonly name: string;
  readonly parameters: ReadonlyMap<string, string>;
  /** The JSON object or array that the marker carries, if any. */
  readonly json: unknown;
}

/** A marker that cannot be read. The server answers it as a 400, so that the author of the task sees it. */
export class MarkerError extends Error {
  override readonly name = "MarkerError";
}

const START = /\[scenario:\s*([a-z0-9-]+)/;
const PARAMETER = /^([a-z][a-z0-9-]*)=("(?:[^"\\]|\\.)*"|[^\s\]"]*)/;

/**
 * Reads the first marker of a text; undefined when there is none. The first one wins because the JSON of a
 * `spawn-child` marker may hold another marker, meant for the child.
 */
export function parseMarker(text: string): Marker | undefined {
  const start = START.exec(text);
  if (start === null) return undefined;
  const name = start[1] ?? "";
  const parameters = new Map<string, string>();
  let json: unknown;
  let rest = text.slice(start.index + start[0].length);
  for (;;) {
    rest = rest.trimStart();
    if (rest.startsWith("]")) return { name, parameters, json };
    if (rest.startsWith("{") || rest.startsWith("[")) {
      const source = rest.slice(0, jsonLength(rest));
      json = parseJson(source);
      rest = rest.slice(source.length);
      continue;
    }
    const parameter = PARAMETER.exec(rest);
    if (parameter === null) {
      throw new MarkerError(
        `Could not read the marker of scenario "${name}" at "${rest.slice(0, 40)}". Write key=value, key="two words", or JSON, and close it with "]".`,
      );
    }
    const [source, key = "", value = ""] = parameter;
    parameters.set(key, value.startsWith('"') ? String(parseJson(value)) : value);
    rest = rest.slice(source.length);
  }
}

function parseJson(source: string): unknown {
  try {
    return JSON.parse(source) as unknown;
  } catch (cause) {
    throw new MarkerError(`Could not read the JSON of a scenario marker: ${source.slice(0, 80)}`, { cause });
  }
}

/** Length of the JSON value at the start of `text`, found by counting brackets outside strings. */
function jsonLength(text: string): number {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (inString) {
      if (character === "\\") index += 1;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === "{" || character === "[") depth += 1;
    else if (character === "}" || character === "]") {
      depth -= 1;
      if (depth === 0) return index + 1;
    }
  }
  return text.length;
}
