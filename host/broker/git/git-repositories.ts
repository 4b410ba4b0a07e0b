import { basicAuthorization, type GitCredential, type GitCredentialSource } from "./git-credential.ts";
import { repositoryKey } from "./git-request.ts";

/** A repository that the user's credential may be shown for. */
export interface GitRepository {
  /** Where the user says that it is; a redirect of its server changes it. */
  url: URL;
  /** Once the server wanted one. */
  credential?: GitCredential;
}

/** The session's repositories, each with the credential that its server has asked for, in memory only. */
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

  /** Whether a repository is on a server of one of the session's. */
  isServed(url: URL): boolean {
    return this.#origins.has(url.origin);
  }

  /** Returns the session's repository of that URL; undefined for any other. */
  find(url: URL): GitRepository | undefined {
    return this.#known.get(repositoryKey(url));
  }

  /** Gets the credential for a server that wants one. False if there is none. */
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

  /** Tells the user's helper whether the server took the credential; one that it did not is forgotten. */
  async settle(repository: GitRepository, { taken }: { taken: boolean }): Promise<void> {
    const { credential, url } = repository;
    if (credential === undefined) return;
    if (taken) return this.#credentials.approve(url, credential);
    delete repository.credential;
    await this.#credentials.reject(url, credential);
  }
}

/** Returns the header for a repository's server; none until it has asked. */
export function authorization(repository: GitRepository | undefined): Record<string, string> {
  const { credential } = repository ?? {};
  return credential === undefined ? {} : { authorization: basicAuthorization(credential) };
}
