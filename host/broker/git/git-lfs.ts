import { randomUUID } from "node:crypto";
import { isMembers, type Members } from "../json.ts";

/** Place of an LFS object, and the headers that its server wants. It stays with the host. */
export interface LfsObject {
  repository: URL;
  target: URL;
  headers: Record<string, string>;
}

/** What is remembered of places, as text; the oldest go first. A batch has at most 100 objects of two or three places each. */
const MAX_CHARS = 8 * 1024 * 1024;
const MAX_HEADERS = 20;

/** Places of LFS objects by names that mean nothing outside of this session. */
export class LfsObjects {
  readonly #known = new Map<string, LfsObject>();
  #chars = 0;

  get(id: string): LfsObject | undefined {
    return this.#known.get(id);
  }

  /**
   * Returns a batch answer in which each place is one of the gateway's, without headers: tokens stay here. Undefined:
   * it is no batch answer. https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
   */
  rewrite(answer: unknown, repository: URL, gatewayOrigin: string): unknown {
    if (!isMembers(answer) || !Array.isArray(answer["objects"])) return undefined;
    const objects = answer["objects"].filter(isMembers).map(({ oid, size, error, actions }) => ({
      oid,
      size,
      authenticated: true,
      ...(error !== undefined && { error }),
      ...(isMembers(actions) && { actions: this.#rewriteActions(actions, repository, gatewayOrigin) }),
    }));
    return { transfer: "basic", objects };
  }

  #rewriteActions(actions: Members, repository: URL, gatewayOrigin: string): Members {
    const rewritten: Members = {};
    for (const name of ["download", "upload", "verify"]) {
      const action = actions[name];
      if (!isMembers(action)) continue;
      const target = readTarget(action["href"], repository);
      if (target === undefined) continue;
      const id = randomUUID();
      this.#remember(id, { repository, target, headers: readHeaders(action["header"]) });
      rewritten[name] = { href: `${gatewayOrigin}/lfs/${id}` };
    }
    return rewritten;
  }

  #remember(id: string, object: LfsObject): void {
    this.#known.set(id, object);
    this.#chars += charsOf(object);
    for (const [oldest, known] of this.#known) {
      if (this.#chars <= MAX_CHARS) return;
      this.#known.delete(oldest);
      this.#chars -= charsOf(known);
    }
  }
}

/** With what an entry takes beside its texts. */
function charsOf({ target, headers }: LfsObject): number {
  return 500 + target.href.length + JSON.stringify(headers).length;
}

/** The repository's own server, or any by https; never plain http to another. */
function readTarget(href: unknown, repository: URL): URL | undefined {
  if (typeof href !== "string" || !URL.canParse(href)) return undefined;
  const target = new URL(href);
  return target.origin === repository.origin || target.protocol === "https:" ? target : undefined;
}

function readHeaders(given: unknown): Record<string, string> {
  if (!isMembers(given)) return {};
  const pairs = Object.entries(given).slice(0, MAX_HEADERS);
  return Object.fromEntries(
    pairs.filter(
      (pair): pair is [string, string] =>
        /^[A-Za-z0-9-]+$/.test(pair[0]) &&
        !/^(?:host|connection|content-length|transfer-encoding|expect|upgrade)$/i.test(pair[0]) &&
        typeof pair[1] === "string" &&
        /^[\x20-\x7e]*$/.test(pair[1]),
    ),
  );
}
