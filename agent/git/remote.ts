import { AppError, redactUri } from "../../proto/index.ts";
import { type GitPlace, tryGit } from "./git.ts";
import { type HttpAnswer, readHttpAnswer, speaksGit, spokenLine } from "./http-trace.ts";
import { retryCut, type RetryCutOptions } from "./retry-cut.ts";

/** Ref that a session starts from, as its remote has it. */
export interface RemoteRef {
  /** Name at the remote, such as refs/heads/main. Undefined: the session starts from a commit's id. */
  name: string | undefined;
  /** Id of the object at the remote now. */
  id: string;
  /** Name of the branch that the remote's HEAD is, such as refs/heads/main. Undefined: the remote does not say. */
  defaultName: string | undefined;
}

/** A server that sends less than this for a minute is taken for gone. */
const STALLED = { "http.lowSpeedLimit": "1000", "http.lowSpeedTime": "60" };

/** Configuration of git that replaces the beginnings of URLs. A key may come more than once. */
export type UrlConfig = readonly (readonly [key: string, value: string])[];

/** Returns the place for commands that talk to a remote: http and https only, through the proxy if there is one. */
export function remotePlace(
  place: GitPlace,
  { proxyUrl, urlConfig = [] }: { proxyUrl: string | undefined; urlConfig?: UrlConfig },
): GitPlace {
  const certificates = process.env["GIT_SSL_CAINFO"];
  return {
    identity: place.identity,
    variables: {
      ...place.variables,
      GIT_ALLOW_PROTOCOL: "http:https",
      ...(certificates === undefined ? {} : { GIT_SSL_CAINFO: certificates }),
      // Where it is led to by the configuration is in the container.
      ...(urlConfig.length > 0 && { no_proxy: "127.0.0.1" }),
    },
    repeatedConfig: urlConfig,
    config: { ...place.config, ...STALLED, "credential.helper": "", "http.proxy": proxyUrl ?? "" },
  };
}

/**
 * Asks the remote for a ref: a branch, else a tag, else any ref of that name, else a commit's id. An empty ref is the
 * remote's HEAD. Undefined: the remote has no commit. Throws REF_NOT_FOUND, or an AppError with a REPOSITORY_… reason
 * if the remote does not answer as a git repository does.
 */
export async function resolveRemoteRef(
  place: GitPlace,
  uri: string,
  ref: string,
  options: RetryCutOptions,
): Promise<RemoteRef | undefined> {
  const atHead = ref === "" || ref === "HEAD";
  const candidates = atHead ? [] : [`refs/heads/${ref}`, `refs/tags/${ref}`, `refs/${ref}`, ref];
  const { ids, defaultName } = await listRemote(place, uri, ["HEAD", ...candidates], options);
  if (atHead) {
    const head = ids.get("HEAD");
    if (head !== undefined) return { name: defaultName ?? "HEAD", id: head, defaultName };
    if ((await listRemote(place, uri, [], options)).ids.size === 0) return undefined;
    throw refNotFound(uri, "HEAD", "The remote's HEAD names a branch that does not exist. Name one that does.");
  }
  for (const name of candidates) {
    const id = ids.get(name);
    if (id !== undefined) return { name, id, defaultName };
  }
  if (isCommitId(ref)) return { name: undefined, id: ref, defaultName };
  throw refNotFound(uri, ref, "Check the spelling; commit ids have to be given in full.");
}

/**
 * Packet in which a remote names its HEAD, in what git traces, as an extended regular expression. What a server writes into another packet is
 * behind that one's own "<".
 */
export const HEAD_PACKET = "^[^<]* packet: +(fetch|git)< [0-9a-f]+ HEAD( |\\\\0|$)";

/** Returns the remote's HEAD, by a packet in which it is named. Undefined: there is none, or it does not tell. */
export function readHead(packets: string): RemoteRef | undefined {
  const line = packets.split("\n").find((line) => new RegExp(HEAD_PACKET).test(line));
  // Protocol 2 names its branch beside it, an older one in the capabilities: https://git-scm.com/docs/protocol-v2
  const [, id = "", facts = ""] = /< ([0-9a-f]+) HEAD(.*)$/.exec(line ?? "") ?? [];
  if (!isCommitId(id)) return undefined;
  const [, defaultName] = / symref(?:-target:|=HEAD:)(\S+)/.exec(facts) ?? [];
  // Not plain ASCII: that is written in another way here.
  if (defaultName?.includes("\\") === true) return undefined;
  return { name: defaultName ?? "HEAD", id, defaultName };
}

/** Whether a ref is the whole id of a commit, as it looks. */
export function isCommitId(ref: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(ref);
}

/** Returns the error for a ref that the remote does not have. */
export function refNotFound(uri: string, ref: string, help: string): AppError {
  const message = `Could not clone ${redactUri(uri)} at '${ref}': there is no such branch, tag or commit.`;
  return new AppError("REF_NOT_FOUND", message, { help, metadata: { uri: redactUri(uri), ref } });
}

async function listRemote(
  place: GitPlace,
  uri: string,
  patterns: readonly string[],
  options: RetryCutOptions,
): Promise<{ ids: Map<string, string>; defaultName: string | undefined }> {
  const variables = { ...place.variables, GIT_TRACE_CURL: "2", GIT_TRACE_CURL_NO_DATA: "1" };
  const args = ["ls-remote", "--symref", "--", uri, ...patterns];
  const run = () => tryGit({ ...place, variables }, args, { signal: options.signal });
  const result = await retryCut(options, run, ({ code, stderr }) => code === 0 && speaksGit(stderr));
  if (result.code !== 0 || !speaksGit(result.stderr)) {
    const said = spokenLine(result.stderr);
    throw remoteError(uri, readHttpAnswer(result.stderr), said === "" ? "it speaks another protocol" : said);
  }
  const ids = new Map<string, string>();
  let defaultName: string | undefined;
  for (const line of result.stdout.toString("utf8").split("\n")) {
    const [value = "", name = ""] = line.split("\t");
    if (name === "HEAD" && value.startsWith("ref: ")) defaultName = value.slice("ref: ".length);
    else if (name !== "") ids.set(name, value);
  }
  return { ids, defaultName };
}

function isRedirect(said: string): boolean {
  return / redirects /.test(said);
}

/** As libcurl says that less came than http.lowSpeedLimit. */
function isSlow(said: string): boolean {
  return /Operation too slow/.test(said);
}

function remoteError(uri: string, answer: HttpAnswer | undefined, said: string): AppError {
  const shown = redactUri(uri);
  const metadata = { uri: shown, said, ...(answer === undefined ? {} : { http_status: String(answer.status) }) };
  const could = `Could not clone ${shown}:`;
  if (answer === undefined) {
    const help = "Check the host name and that the host's egress rules allow it.";
    return new AppError("REPOSITORY_UNREACHABLE", `${could} the server was not reached (${said}).`, {
      retryable: true,
      help,
      metadata,
    });
  }
  const { status, fromProxy } = answer;
  if (fromProxy && status !== 200) {
    const refused = status === 403;
    const why = refused ? "connections to its host are not allowed" : "its host cannot be reached";
    const help = refused
      ? "Allow the host in the egress rules."
      : "Check the host name and port, and that the server is up.";
    return new AppError("REPOSITORY_UNREACHABLE", `${could} ${why} (status ${status} of the proxy).`, {
      help,
      metadata,
    });
  }
  switch (status) {
    case 401:
    case 403:
    case 407:
      return new AppError("REPOSITORY_UNAUTHORIZED", `${could} the server wants credentials (status ${status}).`, {
        help: "Check the spelling (private and missing repositories look alike) or give the host's broker a credential for it.",
        metadata,
      });
    case 404:
    case 410:
      return new AppError("REPOSITORY_NOT_FOUND", `${could} the server has no such repository (status ${status}).`, {
        help: "Check the URI.",
        metadata,
      });
    // Who answers stands between, as the host does, and says why.
    case 502:
    case 504:
      return new AppError("REPOSITORY_UNREACHABLE", `${could} ${said}.`, {
        retryable: !isRedirect(said),
        help: isRedirect(said)
          ? "Give the repository's own address."
          : "Check the host name and port, and that the server is up.",
        metadata,
      });
    case 200:
      if (isSlow(said)) {
        return new AppError("REPOSITORY_UNREACHABLE", `${could} the server began to answer and stopped (${said}).`, {
          retryable: true,
          help: "Check that the server, and what is between, is well; try again later.",
          metadata,
        });
      }
      // The proxy's own 200 to CONNECT and nothing after it: TLS failed, or the server hung up.
      if (fromProxy) break;
      return new AppError("REPOSITORY_INVALID", `${could} what answers there is not a git repository (${said}).`, {
        help: "Check the URI.",
        metadata,
      });
  }
  return new AppError("REPOSITORY_UNREACHABLE", `${could} the server failed (status ${status}: ${said}).`, {
    retryable: true,
    help: "Try again later.",
    metadata,
  });
}
