/** Request of git's out of a container that may be passed on. */
export type GitRequest =
  | { kind: "refs"; service: GitService; repository: URL }
  | { kind: "rpc"; service: GitService; repository: URL }
  | { kind: "lfs-batch"; repository: URL }
  | { kind: "lfs-object"; id: string };

/** Service of git's smart HTTP. */
export type GitService = "git-upload-pack" | "git-receive-pack";

const TARGET = /^\/(https?)\/([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?(\/[\x21-\x7e]+)$/i;
const OBJECT = /^\/lfs\/([0-9a-f-]{36})$/;

/**
 * Parses "/<scheme>/<host[:port]>/<path of the repository>/<what git asks for>". Undefined: it is no request of smart
 * HTTP or LFS. https://git-scm.com/docs/http-protocol
 */
export function readGitRequest(method: string | undefined, target: string): GitRequest | undefined {
  const object = OBJECT.exec(target);
  if (object !== null) return { kind: "lfs-object", id: object[1]! };
  const match = TARGET.exec(target);
  if (match === null || target.length > 2000) return undefined;
  const [, scheme, host, port, rest = ""] = match;
  const at = /^(.+?)\/(info\/refs\?service=(git-[a-z]+-pack)|git-[a-z]+-pack|info\/lfs\/objects\/batch)$/.exec(rest);
  if (at === null || !isPlainPath(at[1]!)) return undefined;
  const text = `${scheme!.toLowerCase()}://${host}${port === undefined ? "" : `:${port}`}${at[1]}`;
  if (!URL.canParse(text)) return undefined;
  const repository = new URL(text);
  const asked = at[2]!;
  if (asked === "info/lfs/objects/batch") return method === "POST" ? { kind: "lfs-batch", repository } : undefined;
  const service = toService(at[3] ?? asked);
  if (service === undefined) return undefined;
  if (at[3] !== undefined) return method === "GET" ? { kind: "refs", service, repository } : undefined;
  return method === "POST" ? { kind: "rpc", service, repository } : undefined;
}

function toService(name: string): GitService | undefined {
  return name === "git-upload-pack" || name === "git-receive-pack" ? name : undefined;
}

/** Whether every server reads a path as we do: no way up, nothing empty, nothing encoded that separates. */
function isPlainPath(path: string): boolean {
  return path
    .slice(1)
    .split("/")
    .every((segment) => {
      if (!/^(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+$/.test(segment)) return false;
      let decoded: string;
      try {
        decoded = decodeURIComponent(segment);
      } catch {
        return false;
      }
      return decoded !== "." && decoded !== ".." && !/[\x00-\x1f\x7f/\\%?#;]/.test(decoded);
    });
}

/** Returns a key that all URLs of one repository share: with or without ".git", with or without the port. */
export function repositoryKey(url: URL): string {
  return url.origin + url.pathname.replace(/\/+$/, "").replace(/\.git$/, "");
}
