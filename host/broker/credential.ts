/** The user's credential for the model. It never leaves the host but to the model's endpoint. */
export type Credential =
  { kind: "api-key"; value: string } | { kind: "auth-token"; value: string } | { kind: "oauth-token"; value: string };

/** What the API asks of requests that carry an OAuth token. */
const OAUTH_BETA = "oauth-2025-04-20";

/** Returns the headers that show the credential. */
export function credentialHeaders(credential: Credential, beta: string | undefined): Record<string, string> {
  const betas = beta === undefined || beta === "" ? [] : [beta];
  switch (credential.kind) {
    case "api-key":
      return { "x-api-key": credential.value, ...withBeta(betas) };
    case "auth-token":
      return { authorization: `Bearer ${credential.value}`, ...withBeta(betas) };
    case "oauth-token":
      return { authorization: `Bearer ${credential.value}`, ...withBeta([...betas, OAUTH_BETA]) };
  }
}

function withBeta(betas: string[]): Record<string, string> {
  return betas.length === 0 ? {} : { "anthropic-beta": betas.join(",") };
}
