import type { RawPath } from "../../proto/index.ts";

/** Longer than any path. What does not fit is not a path. */
const MAX_EVENT_CHARS = 8192;

/** Arguments that make inotifywait write what `inotifyReader` reads. */
export const INOTIFY_ARGS = [
  ["-m", "-r", "-q", "--no-newline", "--format", "%e %w%f%0"],
  ["-e", "modify,attrib,move,create,delete,delete_self,move_self,unmount"],
  ["--exclude", "/\\.git(/|$)"],
].flat();

/**
 * Returns a function that takes the output of inotifywait, in any pieces, and reports the file of each event. It
 * reports undefined for what concerns more than one file: a directory, a file of git's, an event that is not
 * understood.
 */
export function inotifyReader(directory: string, report: (path: RawPath | undefined) => void): (chunk: Buffer) => void {
  let rest = "";
  return (chunk) => {
    const events = (rest + chunk.toString("latin1")).split("\0");
    rest = events.pop() ?? "";
    if (rest.length > MAX_EVENT_CHARS) {
      rest = "";
      report(undefined);
    }
    for (const event of events) report(filePath(event, `${directory}/`));
  };
}

function filePath(event: string, top: string): RawPath | undefined {
  const space = event.indexOf(" ");
  const path = event.slice(space + 1);
  const ordinary =
    space !== -1 && !event.slice(0, space).includes("ISDIR") && path.startsWith(top) && !path.endsWith("/");
  return ordinary && !/(?:^|\/)\.git[^/]*$/.test(path) ? path.slice(top.length) : undefined;
}
