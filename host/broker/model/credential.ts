import { AppError } from "../../../proto/index.ts";

/** Credential of the user for the model. It leaves the host only to the model's endpoint. */
export type Credential =
  { kind: "api-key"; value: string } | { kind: "auth-token"; value: string } | { kind: "oauth-token"; value: string };

/**
 * Returns whether a text can be a credential. It becomes a header: Node would refuse a line break, with the value in
 * the message.
 */
export function isCredential(value: string): boolean {
  return /^[\x21-\x7e]+$/.test(value);
}

/** Checks that a configured text can be a credential. Throws CREDENTIAL_INVALID, without the text. */
export function checkCredential(value: string): string {
  if (isCredential(value)) return value;
  throw new AppError("CREDENTIAL_INVALID", "The configured credential holds characters that no credential has.", {
    help: "Set it again, without quotes or line breaks.",
  });
}

/** Source of the credential, which may change while sessions run. */
export interface CredentialSource {
  /** Returns the credential as it is now. Undefined: none is configured. Throws if it cannot be read. */
  read(): Promise<Credential | undefined>;
  /** Returns the credential to use after the model's endpoint has refused this one. Undefined: there is none. */
  renew(refused: Credential): Promise<Credential | undefined>;
}

/** Returns a source whose credential never changes. */
export function fixedCredential(credential: Credential | undefined): CredentialSource {
  return { read: () => Promise.resolve(credential), renew: () => Promise.resolve(credential) };
}

/** What the API asks of requests that carry an OAuth token. */
const OAUTH_BETA = "oauth-2025-04-20";

/** Returns the headers with a credential. */
export function credentialHeaders(credential: Credential, betas: readonly string[]): Record<string, string> {
  switch (credential.kind) {
    case "api-key":
      return { "x-api-key": credential.value, ...withBeta(betas) };
    case "auth-token":
      return { authorization: `Bearer ${credential.value}`, ...withBeta(betas) };
    case "oauth-token":
      return { authorization: `Bearer ${credential.value}`, ...withBeta([...betas, OAUTH_BETA]) };
  }
}

function withBeta(betas: readonly string[]): Record<string, string> {
  return betas.length === 0 ? {} : { "anthropic-beta": betas.join(",") };
}
