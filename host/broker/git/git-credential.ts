/** Credential that a git server is shown. */
export interface GitCredential {
  username: string;
  password: string;
}

/** Source of the user's credentials for git servers. They leave the host only to the server that they are for. */
export interface GitCredentialSource {
  /** Returns the credential for a repository. Undefined: there is none, or none that may go there. */
  fill(repository: URL): Promise<GitCredential | undefined>;
  /** Notes that the server has taken the credential. */
  approve(repository: URL, credential: GitCredential): Promise<void>;
  /** Notes that the server has refused the credential. */
  reject(repository: URL, credential: GitCredential): Promise<void>;
}

/** Returns the value of the Authorization header with a credential. */
export function basicAuthorization({ username, password }: GitCredential): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

/** Returns whether a credential could be read on the way to a URL. */
export function isExposed({ protocol, hostname }: URL): boolean {
  return protocol !== "https:" && !/^(?:127(?:\.\d{1,3}){3}|localhost|\[::1\])$/.test(hostname);
}
