import { type GitCredential, type GitCredentialSource, isExposed } from "../broker/git/git-credential.ts";
import { readConfigFile } from "./config-file.ts";
import { type AskGit, describeRepository, readAnswer, runGitCredential } from "./git-credential-helper.ts";

/** What servers take for a name where a token says who it is. */
const TOKEN_USER = "x-access-token";

/**
 * Credentials of the user for git servers: those of config.json, read anew each time, then those of git's own
 * credential helpers. None goes to a server without TLS, except on this machine.
 */
export class ConfiguredGitCredential implements GitCredentialSource {
  readonly #configDirectory: string;
  readonly #askGit: AskGit;

  constructor({ configDirectory, askGit = runGitCredential }: { configDirectory: string; askGit?: AskGit }) {
    this.#configDirectory = configDirectory;
    this.#askGit = askGit;
  }

  async fill(repository: URL): Promise<GitCredential | undefined> {
    if (isExposed(repository)) return undefined;
    const { git_credentials: configured, git_credential_helper: helper } = readConfigFile(this.#configDirectory);
    const own = configured?.[repository.host];
    if (own !== undefined) return { username: own.username ?? TOKEN_USER, password: own.token };
    const wish = describeRepository(repository);
    if (helper === false || wish === undefined) return undefined;
    // Without a helper, or without git, there is none.
    return await this.#askGit("fill", wish).then(readAnswer, () => undefined);
  }

  approve(repository: URL, credential: GitCredential): Promise<void> {
    return this.#tell("approve", repository, credential);
  }

  reject(repository: URL, credential: GitCredential): Promise<void> {
    return this.#tell("reject", repository, credential);
  }

  async #tell(action: "approve" | "reject", repository: URL, credential: GitCredential): Promise<void> {
    const { git_credentials: configured } = readConfigFile(this.#configDirectory);
    const what = describeRepository(repository, credential);
    if (configured?.[repository.host] === undefined && what !== undefined) await this.#askGit(action, what);
  }
}
