import type { Logger } from "pino";
import type { Credential, CredentialSource } from "./credential.ts";

/** Returns the credential. Undefined: there is none, or it cannot be read. Never rejects. */
export async function readCredential(credentials: CredentialSource, logger: Logger): Promise<Credential | undefined> {
  try {
    return await credentials.read();
  } catch (error) {
    logger.error({ err: error }, "credential cannot be read");
    return undefined;
  }
}

/** Returns whether there is another credential than the one that the endpoint has refused. Never rejects. */
export async function isRenewed(credentials: CredentialSource, refused: Credential, logger: Logger): Promise<boolean> {
  try {
    const now = await credentials.renew(refused);
    const renewed = now !== undefined && (now.kind !== refused.kind || now.value !== refused.value);
    logger.warn({ renewed }, "the model's endpoint refused the credential");
    return renewed;
  } catch (error) {
    logger.error({ err: error }, "credential cannot be read");
    return false;
  }
}
