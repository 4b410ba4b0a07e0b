import { AppError } from "./app-error.ts";
import { cutChars } from "./cut.ts";

/** Address of a repository, and where to start in it, as a caller gives them. */
export interface RepositoryAddress {
  uri: string;
  /** Branch, tag or commit. Empty: none is given. */
  ref: string;
}

/** Sites whose addresses of ssh, of pages and without a scheme are known to mean a repository that https serves. */
const SITES: ReadonlySet<string> = new Set([
  "github.com",
  "gitlab.com",
  "bitbucket.org",
  "codeberg.org",
  "dev.azure.com",
]);
/** The name of an account that these put into the address that they show: no secret. */
const SITES_WITH_ACCOUNT: ReadonlySet<string> = new Set(["bitbucket.org", "dev.azure.com"]);
/** What stands before the name of a branch, tag or commit in the address of a page. */
const PAGES = ["tree", "commit", "commits", "releases/tag", "src/branch", "src/tag", "src/commit", "src"];

/** The pages of proposed changes, and the refs under which their servers have these. */
const PROPOSALS: readonly (readonly [page: RegExp, ref: string])[] = [
  [/^pulls?\/(\d+)(?:\/(?:files|commits|changes))?$/, "refs/pull/$1/head"],
  [/^merge_requests\/(\d+)(?:\/(?:diffs|commits))?$/, "refs/merge-requests/$1/head"],
];

/**
 * Returns the address as an http or https URI in normal form, without credentials. It understands what well-known sites
 * show for cloning, and the addresses of their pages for a repository, branch, tag, commit or proposed change.
 *
 * Throws REPOSITORY_URI_CREDENTIALS, or REPOSITORY_URI_INVALID with the form that works if there is one.
 */
export function readRepositoryAddress(given: RepositoryAddress): RepositoryAddress {
  const url = parse(given.uri.trim());
  const { host, hostname, origin } = url;
  if (url.password !== "" || (url.username !== "" && !SITES_WITH_ACCOUNT.has(hostname))) {
    throw new AppError("REPOSITORY_URI_CREDENTIALS", `The repository URI for ${host} holds credentials.`, {
      help: `Leave them out: nothing secret may enter a container. Use ${plain(url)}.`,
      metadata: { host },
    });
  }
  if (!SITES.has(hostname) && (url.search !== "" || url.hash !== "")) {
    const help = `Leave it out: what is secret in it would enter the container. Use ${plain(url)}.`;
    throw invalid(`The repository URI for ${host} has a query or a fragment.`, help, { host });
  }
  const { repository, page } = split(url);
  const uri = `${origin}/${repository.join("/")}`;
  if (page.length === 0) return { uri, ref: given.ref };
  const ref = refOf(page);
  if (ref !== undefined && (given.ref === "" || given.ref === ref)) return { uri, ref };
  const help = `Use ${cutChars(uri, 256)}, with a branch, tag or commit as the ref.`;
  throw invalid(`"${plain(url)}" is a page of ${host}, not a repository.`, help, { host });
}

/** Returns a URI without anything that may be a password. */
export function redactUri(uri: string): string {
  return uri
    .slice(0, 256)
    .replace(/\/\/[^/\s]*@|^[^/\s@]*:[^/\s]*@/, (found) => (found.startsWith("//") ? "//***@" : "***@"));
}

/** Returns the URL that is meant. Throws where it is not plain that https serves it. */
function parse(text: string): URL {
  const short = ofSsh(text) ?? ofHostAndPath(text);
  const url = short ?? asUrl(text.replace(/^git\+(?=https?:)/, ""));
  if (url?.hostname === "www.github.com") url.hostname = "github.com";
  if (url !== undefined && url.hostname !== "" && (short === undefined ? isHttp(url) : SITES.has(url.hostname))) {
    return url;
  }
  const name = /^[\w-][\w.-]*\/[\w.-]+$/.test(text) ? `https://github.com/${text}` : undefined;
  const meant = short === undefined ? name : plain(short);
  const help =
    meant === undefined
      ? "Use an https URI such as https://github.com/owner/name. Addresses for ssh are understood of well-known sites; a directory goes in by the command or the tool on its own machine."
      : `Use an https URI; ${meant} may be what is meant.`;
  throw invalid(`"${redactUri(text.split(/[?#]/, 1)[0]!)}" is not a repository URI that can be cloned.`, help);
}

function isHttp({ protocol }: URL): boolean {
  return protocol === "https:" || protocol === "http:";
}

/** "git@host:owner/name" and "ssh://git@host/owner/name" by https; undefined for what is neither. */
function ofSsh(text: string): URL | undefined {
  const [, host = "", path = ""] =
    /^(?:(?:git\+)?ssh|git):\/\/(?:[^/@\s]*@)?([\w.-]+)(?::\d+)?\/+(\S+)$/.exec(text) ??
    /^(?:[\w.-]+@)?([\w-]+(?:\.[\w-]+)+):(?!\/|\d+\/)(\S+)$/.exec(text) ??
    [];
  const azure = /^v3\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path);
  if (azure === null) return host === "" ? undefined : asUrl(`https://${host}/${path}`);
  return host.toLowerCase() === "ssh.dev.azure.com"
    ? asUrl(`https://dev.azure.com/${azure[1]}/${azure[2]}/_git/${azure[3]}`)
    : undefined;
}

/** "host/owner/name" by https; undefined for what is something else. */
function ofHostAndPath(text: string): URL | undefined {
  return /^[\w-]+(\.[\w-]+)+(:\d+)?\/[^/\s]+\/\S+$/.test(text) ? asUrl(`https://${text}`) : undefined;
}

function asUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

/** The parts of a URL's path that name the repository, and those behind it that name a page of it. */
function split({ hostname, pathname }: URL): { repository: string[]; page: string[] } {
  const parts = pathname.replace(/^\/|\/+$/g, "").split("/");
  const length = repositoryLength(hostname, parts);
  // GitLab's pages have a dash before them, wherever it runs.
  return { repository: parts.slice(0, length), page: parts.slice(parts[length] === "-" ? length + 1 : length) };
}

function repositoryLength(hostname: string, parts: readonly string[]): number {
  const dash = parts.indexOf("-");
  if (dash > 1) return dash;
  if (!SITES.has(hostname) || hostname === "gitlab.com") return parts.length;
  if (hostname !== "dev.azure.com") return 2;
  const mark = parts.indexOf("_git");
  return mark === -1 ? parts.length : mark + 2;
}

/** The ref whose page it is; undefined where that is another page, or where a directory may be part of it. */
function refOf(page: readonly string[]): string | undefined {
  const path = page.join("/");
  const [proposal, name] = PROPOSALS.find(([pattern]) => pattern.test(path)) ?? [];
  if (proposal !== undefined) return path.replace(proposal, name!);
  const last = page.at(-1)!;
  if (!PAGES.includes(page.slice(0, -1).join("/"))) return undefined;
  try {
    return decodeURIComponent(last);
  } catch {
    // No name that a site has written.
    return undefined;
  }
}

/** The URL without what may be a secret, to be shown. */
function plain(url: URL): string {
  return cutChars(`${url.origin}${url.pathname.replace(/\/+$/, "")}`, 256);
}

function invalid(message: string, help: string, metadata: Record<string, string> = {}): AppError {
  return new AppError("REPOSITORY_URI_INVALID", message, { help, metadata });
}
