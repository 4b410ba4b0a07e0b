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

/** Returns what git itself said, without the trace. */
export function withoutTrace(stderr: string): string {
  return stderr
    .split("\n")
    .filter((line) => !/^\d\d:\d\d:\d\d\.\d+ /.test(line))
    .join("\n");
}
