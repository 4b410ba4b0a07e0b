import type { RawPath } from "../../proto/index.ts";

/** Longer than any path. What does not fit is not a path. */
const MAX_EVENT_CHARS = 8192;

/** Arguments that make inotifywait write what `inotifyReader` reads. */
export const INOTIFY_ARGS = [
  ["-m", "-r", "-q", "--no-newline", "--format", "%e %w%f%0"],
  ["-e", "modify,attrib,move,create,delete,delete_self,move_self,unmount"],
  ["--exclude", "/\\.git(/|$)"],
].flat();

/** What an event is about. */
export interface FileEvent {
  path: RawPath;
  /** Whether it concerns more than this one file: it is a directory, or a file of git's. */
  more: boolean;
}

/**
 * Returns a function that takes the output of inotifywait, in any pieces, and reports each event. It reports undefined for
 * an event that is not understood.
 */
export function inotifyReader(
  directory: string,
  report: (event: FileEvent | undefined) => void,
): (chunk: Buffer) => void {
  let rest = "";
  return (chunk) => {
    const events = (rest + chunk.toString("latin1")).split("\0");
    rest = events.pop() ?? "";
    if (rest.length > MAX_EVENT_CHARS) {
      rest = "";
      report(undefined);
    }
    for (const event of events) report(readEvent(event, `${directory}/`));
  };
}

function readEvent(event: string, top: string): FileEvent | undefined {
  const space = event.indexOf(" ");
  const path = event.slice(space + 1);
  if (space === -1 || !path.startsWith(top) || path === top) return undefined;
  const more = event.slice(0, space).includes("ISDIR") || path.endsWith("/") || /(?:^|\/)\.git[^/]*$/.test(path);
  return { path: path.slice(top.length).replace(/\/$/, ""), more };
}
