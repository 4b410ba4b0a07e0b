import type { SessionResult } from "../../proto/index.ts";
import { pathText } from "./path-text.ts";
import { oneLine } from "./plain-text.ts";
import { plural } from "./plural.ts";

/** Paths that one note names. */
const MAX_PATHS = 5;
/** What an agent of ours tells at most. */
const MAX_FILTERS = 10;

/** Returns a line for each fact that has to be known before a patch is applied: what git would have made otherwise. */
export function patchNotes(result: SessionResult): string[] {
  const { unconvertedPaths, skippedFilters, setup } = result;
  const notes = skippedFilters.slice(0, MAX_FILTERS).map(({ name, fileCount, examplePath }) => {
    const files = `${plural(fileCount, "file")}${examplePath === "" ? "" : `, such as ${pathText(examplePath)}`}`;
    return `filter ${oneLine(name)} of .gitattributes does not run in a container: ${files}, stayed as git stores them`;
  });
  if (unconvertedPaths.length > 0) {
    const named = names(unconvertedPaths, unconvertedPaths.length);
    notes.push(`not in the encoding that .gitattributes name, and in the patch as it is: ${named}`);
  }
  if (setup !== undefined && setup.changedPaths.length > 0) {
    notes.push(`changed by the setup, before Claude: ${names(setup.changedPaths, setup.changedPathCount)}`);
  }
  return notes;
}

function names(paths: readonly string[], count: number): string {
  const shown = paths.slice(0, MAX_PATHS).map((path) => pathText(path));
  const more = count - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
