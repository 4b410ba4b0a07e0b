/** What a git server is shown. */
export interface GitCredential {
  username: string;
  password: string;
}

/** The user's credentials for git servers. They never leave the host but to the server that they are for. */
export interface GitCredentialSource {
  /** Returns the credential for a repository; undefined if there is none, or none that may go there. */
  fill(repository: URL): Promise<GitCredential | undefined>;
  /** The server has taken it. */
  approve(repository: URL, credential: GitCredential): Promise<void>;
  /** The server has refused it. */
  reject(repository: URL, credential: GitCredential): Promise<void>;
}

/** Returns the header that shows the credential. */
export function basicAuthorization({ username, password }: GitCredential): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

/** Whether a credential sent there could be read on the way. */
export function isExposed({ protocol, hostname }: URL): boolean {
  return protocol !== "https:" && !/^(?:127(?:\.\d{1,3}){3}|localhost|\[::1\])$/.test(hostname);
}
