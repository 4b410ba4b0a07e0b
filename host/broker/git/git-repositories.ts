import { basicAuthorization, type GitCredential, type GitCredentialSource } from "./git-credential.ts";
import { repositoryKey } from "./git-request.ts";

/** Repository that the user's credential may be shown for. */
export interface GitRepository {
  /** URL that the user gave. A redirect by its server changes it. */
  url: URL;
  /** Credential, once the server wanted one. */
  credential?: GitCredential;
}

/**
 * Repositories of a session, each with the credential that its server has asked for. Credentials are in memory alone.
 */
export class GitRepositories {
  readonly #known = new Map<string, GitRepository>();
  readonly #origins = new Set<string>();
  readonly #asking = new Map<GitRepository, Promise<boolean>>();
  readonly #credentials: GitCredentialSource;

  constructor(uris: readonly string[], credentials: GitCredentialSource) {
    this.#credentials = credentials;
    for (const uri of uris) {
      const url = new URL(uri);
      this.#known.set(repositoryKey(url), { url });
      this.#origins.add(url.origin);
    }
  }

  /** Returns whether a repository is on a server of one of the session's. */
  isServed(url: URL): boolean {
    return this.#origins.has(url.origin);
  }

  /** Returns the session's repository of that URL. Undefined: it has none. */
  find(url: URL): GitRepository | undefined {
    return this.#known.get(repositoryKey(url));
  }

  /** Gets the credential for a server that wants one. Returns false if there is none. */
  async unlock(repository: GitRepository): Promise<boolean> {
    const asked = this.#asking.get(repository);
    if (asked !== undefined) return asked;
    const asking = (async () => {
      const credential = await this.#credentials.fill(repository.url);
      if (credential !== undefined) repository.credential = credential;
      return credential !== undefined;
    })();
    this.#asking.set(repository, asking);
    try {
      return await asking;
    } finally {
      this.#asking.delete(repository);
    }
  }

  /** Tells the user's helper whether the server took the credential. A refused one is forgotten. */
  async settle(repository: GitRepository, { taken }: { taken: boolean }): Promise<void> {
    const { credential, url } = repository;
    if (credential === undefined) return;
    if (taken) return this.#credentials.approve(url, credential);
    delete repository.credential;
    await this.#credentials.reject(url, credential);
  }
}

/** Returns the header for a repository's server. It is empty until the server has asked. */
export function authorization(repository: GitRepository | undefined): Record<string, string> {
  const { credential } = repository ?? {};
  return credential === undefined ? {} : { authorization: basicAuthorization(credential) };
}
