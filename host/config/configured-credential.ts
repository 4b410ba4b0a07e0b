import { AppError } from "../../proto/index.ts";
import { checkCredential, type Credential, type CredentialSource } from "../broker/model/credential.ts";
import { readEndpoint } from "./config.ts";
import { readConfigFile } from "./config-file.ts";
import { runCredentialHelper } from "./credential-helper.ts";
import type { ConfigFile } from "./settings.ts";

const KINDS = { api_key: "api-key", auth_token: "auth-token", oauth_token: "oauth-token" } as const;
/** A helper that is asked because of a refusal is asked at most this often (ms). */
const RENEW_INTERVAL_MS = 5_000;

/** Places in which the user's credential may be. */
export interface ConfiguredCredentialOptions {
  configDirectory: string;
  /** Credential of the environment, which counts first and never changes. */
  environmentCredential: Credential | undefined;
  /**
   * Model's endpoint in use, if config.json says it: a credential that is stored there for another endpoint does not
   * count. Undefined: this is not checked.
   */
  endpoint?: URL | undefined;
  /** Function that runs the helper command. Default: it runs it. */
  runHelper?: (command: readonly string[]) => Promise<string>;
}

/**
 * Credential of the user: from the environment, from config.json, or printed by a helper command. A change of the file
 * counts at once. A helper is asked once, and again when its answer was refused.
 */
export class ConfiguredCredential implements CredentialSource {
  readonly #options: ConfiguredCredentialOptions;
  #helped: { command: string; answer: Promise<Credential>; askedMs: number } | undefined;

  constructor(options: ConfiguredCredentialOptions) {
    this.#options = options;
  }

  /**
   * Returns the kind of the credential, without asking a helper. Undefined: none is configured. Throws CONFIG_INVALID,
   * CONFIG_UNSAFE, CONFIG_CHANGED.
   */
  kind(): Credential["kind"] | undefined {
    const { environmentCredential } = this.#options;
    if (environmentCredential !== undefined) return environmentCredential.kind;
    const configured = this.#configured();
    return configured === undefined ? undefined : configured.kind;
  }

  /**
   * Returns the credential. Throws CONFIG_INVALID, CONFIG_UNSAFE, CONFIG_CHANGED, CREDENTIAL_INVALID,
   * CREDENTIAL_HELPER_FAILED.
   */
  async read(): Promise<Credential | undefined> {
    const { environmentCredential } = this.#options;
    if (environmentCredential !== undefined) return environmentCredential;
    const configured = this.#configured();
    if (configured === undefined || "value" in configured) return configured;
    return this.#ask(configured);
  }

  async renew(refused: Credential): Promise<Credential | undefined> {
    const known = await this.read();
    if (known === undefined || known.value !== refused.value) return known;
    if (this.#helped !== undefined && Date.now() - this.#helped.askedMs >= RENEW_INTERVAL_MS) this.#helped = undefined;
    return this.read();
  }

  #ask({ kind, command }: { kind: Credential["kind"]; command: readonly string[] }): Promise<Credential> {
    const { runHelper = runCredentialHelper } = this.#options;
    const name = JSON.stringify([kind, command]);
    if (this.#helped?.command === name) return this.#helped.answer;
    const answer = runHelper(command).then((value) => ({ kind, value: checkCredential(value.trim()) }));
    const helped = (this.#helped = { command: name, answer, askedMs: Date.now() });
    // What failed is asked for again the next time.
    answer.catch(() => {
      if (this.#helped === helped) this.#helped = undefined;
    });
    return answer;
  }

  #configured(): Credential | { kind: Credential["kind"]; command: readonly string[] } | undefined {
    const { configDirectory, endpoint } = this.#options;
    const { credential, base_url: baseUrl } = readConfigFile(configDirectory);
    if (credential === undefined) return undefined;
    if (endpoint !== undefined && readEndpoint(baseUrl).href !== endpoint.href) throw changed(endpoint);
    if ("helper" in credential) return { kind: KINDS[credential.kind], command: credential.helper };
    return literal(credential);
  }
}

function changed(endpoint: URL): AppError {
  return new AppError("CONFIG_CHANGED", `The model's endpoint in config.json is no longer ${endpoint.host}.`, {
    help: "End the host, so that the next one takes it: claudecluster shutdown. Its sessions go on.",
  });
}

function literal(credential: Exclude<NonNullable<ConfigFile["credential"]>, { helper: string[] }>): Credential {
  if ("api_key" in credential) return { kind: "api-key", value: checkCredential(credential.api_key.trim()) };
  if ("auth_token" in credential) return { kind: "auth-token", value: checkCredential(credential.auth_token.trim()) };
  return { kind: "oauth-token", value: checkCredential(credential.oauth_token.trim()) };
}
