import { lastLine } from "./git.ts";

/** The last answer of HTTP that git got. */
export interface HttpAnswer {
  status: number;
  /** The proxy answered, to CONNECT: the server was never reached. */
  fromProxy: boolean;
}

/**
 * Reads the last HTTP status out of what git writes with GIT_TRACE_CURL. git has one exit code for everything and its
 * messages differ between versions; the trace repeats the protocol's own lines. Undefined: no answer at all.
 */
export function readHttpAnswer(trace: string): HttpAnswer | undefined {
  let fromProxy = false;
  let answer: HttpAnswer | undefined;
  for (const [, method, status] of trace.matchAll(
    /(?:=> Send header: ([A-Z]+) |<= Recv header: HTTP\/[\d.]+ (\d{3}))/g,
  )) {
    if (method !== undefined) fromProxy = method === "CONNECT";
    else answer = { status: Number(status), fromProxy };
  }
  return answer;
}

/** Returns whether the server spoke git's own protocol: any page without a line end passes for an empty repository. */
export function speaksGit(trace: string): boolean {
  return /<= Recv header: content-type: application\/x-git-upload-pack-/i.test(trace);
}

/**
 * Returns what was said at last, in one line: the answer's own words where git shows them ("remote: ..."), otherwise git's,
 * without the URL, which may be one that leads through the container.
 */
export function spokenLine(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => !/^\d\d:\d\d:\d\d\.\d+ /.test(line));
  const remote = lines.findLast((line) => /^remote: *\S/.test(line))?.replace(/^remote: */, "");
  const said = lastLine(remote ?? lines.join("\n").replace(/^fatal: unable to access '[^']*': /gm, ""));
  return said.replace(/\.$/, "");
}
