import { lastLine } from "../../proto/index.ts";

/** Last HTTP answer that git got. */
export interface HttpAnswer {
  status: number;
  /** Whether the proxy gave it, to CONNECT. The server was not reached then. */
  fromProxy: boolean;
}

/**
 * Returns the last HTTP answer in what git writes with GIT_TRACE_CURL. Undefined: there was none. git has one exit code
 * for everything, and its messages differ between versions; the trace repeats the protocol's own lines.
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

/**
 * Returns whether the server spoke git's protocol. git itself takes any page without a line end for an empty
 * repository.
 */
export function speaksGit(trace: string): boolean {
  return /<= Recv header: content-type: application\/x-git-upload-pack-/i.test(trace);
}

/**
 * Returns the last words in one line: the server's own where git shows them ("remote: ..."), otherwise git's without
 * the URL, which may be one that leads through the container.
 */
export function spokenLine(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => !/^\d\d:\d\d:\d\d\.\d+ /.test(line));
  const remote = lines.findLast((line) => /^remote: *\S/.test(line))?.replace(/^remote: */, "");
  const said = lastLine(remote ?? lines.join("\n").replace(/^fatal: unable to access '[^']*': /gm, ""));
  return said.replace(/\.$/, "");
}
