import { AppError } from "../../../proto/index.ts";

/** The user's credential for the model. It never leaves the host but to the model's endpoint. */
export type Credential =
  { kind: "api-key"; value: string } | { kind: "auth-token"; value: string } | { kind: "oauth-token"; value: string };

/** Whether it can be one. It becomes a header; a line break in it would be refused by Node with the value in the message. */
export function isCredential(value: string): boolean {
  return /^[\x21-\x7e]+$/.test(value);
}

/** Throws CREDENTIAL_INVALID for a configured one that cannot be one, without repeating it. */
export function checkCredential(value: string): string {
  if (isCredential(value)) return value;
  throw new AppError("CREDENTIAL_INVALID", "The configured credential holds characters that no credential has.", {
    help: "Set it again, without quotes or line breaks.",
  });
}

/** Where the credential comes from, which may be changed or renewed while sessions run. */
export interface CredentialSource {
  /** The credential as it is now; undefined if none is configured. Throws where it cannot be read. */
  read(): Promise<Credential | undefined>;
  /** The model's endpoint has refused this one: looks whether there is another. */
  renew(refused: Credential): Promise<Credential | undefined>;
}

/** Returns a source whose credential never changes. */
export function fixedCredential(credential: Credential | undefined): CredentialSource {
  return { read: () => Promise.resolve(credential), renew: () => Promise.resolve(credential) };
}

/** What the API asks of requests that carry an OAuth token. */
const OAUTH_BETA = "oauth-2025-04-20";

/** Returns the headers that show the credential. */
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
