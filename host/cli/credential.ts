import { text } from "node:stream/consumers";
import { AppError } from "../../proto/index.ts";
import { type Credential, isCredential } from "../broker/model/credential.ts";
import type { HostConfig } from "../config/config.ts";
import { ConfiguredCredential } from "../config/configured-credential.ts";
import type { HostDirectories } from "../directories.ts";
import { updateConfigFile } from "../config/write-config.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { readHidden } from "./read-hidden.ts";

/**
 * Stores the credential that comes on standard input, in config.json, in place of any other. An argument could be seen by
 * every user of the machine. A running host takes the new one. Default of `kind`: by how the credential begins. Throws
 * CREDENTIAL_EMPTY, CREDENTIAL_INVALID, CANCELED.
 */
export async function setCredentialCommand(
  { configDirectory }: HostDirectories,
  options: { kind?: Credential["kind"] },
  io: CommandIo,
): Promise<number> {
  const given = io.stdin.isTTY ? await readHidden("Credential (it is not shown): ", io) : await text(io.stdin);
  const value = given.trim();
  if (value === "") {
    throw new AppError("CREDENTIAL_EMPTY", "Nothing came on standard input.", {
      kind: "INVALID_ARGUMENT",
      help: "For example: printenv ANTHROPIC_API_KEY | claudecluster credential set",
    });
  }
  if (!isCredential(value)) {
    throw new AppError("CREDENTIAL_INVALID", "What came holds characters that no credential has.", {
      kind: "INVALID_ARGUMENT",
      help: "Give it without quotes or line breaks.",
    });
  }
  const kind = options.kind ?? (value.startsWith("sk-ant-oat") ? "oauth-token" : "api-key");
  let replaced = false;
  const path = updateConfigFile(configDirectory, (config) => {
    replaced = config.credential !== undefined;
    if (kind === "api-key") config.credential = { api_key: value };
    else if (kind === "auth-token") config.credential = { auth_token: value };
    else config.credential = { oauth_token: value };
  });
  io.stdout.write(`Stored the ${kind} in ${path}${replaced ? ", in place of the one before" : ""}.\n`);
  return EXIT.done;
}

/** Prints the kind of the credential that a host would use, and for which endpoint. Never the credential. */
export function showCredentialCommand(
  readConfig: () => HostConfig,
  { json }: { json: boolean },
  io: CommandIo,
): number {
  const { environmentCredential, modelEndpoint, configDirectory } = readConfig();
  const kind = new ConfiguredCredential({ configDirectory, environmentCredential }).kind() ?? "";
  if (json) io.stdout.write(`${JSON.stringify({ kind, endpoint: modelEndpoint.href })}\n`);
  else if (kind === "") io.stdout.write(`None is configured in ${configDirectory}.\n`);
  else io.stdout.write(`${kind} for ${modelEndpoint.host}\n`);
  return EXIT.done;
}

/** Removes the stored credential from config.json. There need be none. */
export function removeCredentialCommand({ configDirectory }: HostDirectories, io: CommandIo): number {
  let removed = false;
  const path = updateConfigFile(configDirectory, (config) => {
    removed = config.credential !== undefined;
    delete config.credential;
  });
  io.stdout.write(removed ? `Removed the credential from ${path}.\n` : `No credential is stored in ${path}.\n`);
  return EXIT.done;
}
