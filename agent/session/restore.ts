import { createHash } from "node:crypto";
import { AppError } from "../../proto/index.ts";

/** What an earlier session left, for the one that continues it. */
export interface Restore {
  /** Empty: it had none, or none that is known. */
  readonly conversationId: string;
  /** Against the commit that the new session's repository names. Empty: nothing had changed. */
  readonly patch: Buffer;
  /** Claude Code's own. Empty: there is none. */
  readonly transcript: Buffer;
}

/** What is said of some bytes before they come. */
export interface Announced {
  readonly sizeBytes: bigint;
  readonly sha256: Uint8Array;
}

/** As much as the agent lets a patch have that it makes itself. */
export const MAX_PATCH_BYTES = 256 * 1024 * 1024;
/** A day of work leaves less than ten. */
export const MAX_TRANSCRIPT_BYTES = 64 * 1024 * 1024;

/** Bytes that come in pieces, and must be what was announced. */
export class AnnouncedBytes {
  readonly #what: string;
  readonly #announced: Announced;
  readonly #chunks: Uint8Array[] = [];
  #size = 0;

  /** Throws RESTORE_TOO_LARGE, RESTORE_INVALID. */
  constructor(what: string, announced: Announced, { maxBytes }: { maxBytes: number }) {
    this.#what = what;
    this.#announced = announced;
    if (announced.sizeBytes < 0n) throw invalid(`The ${what} cannot have ${announced.sizeBytes} bytes.`);
    if (announced.sizeBytes <= maxBytes) return;
    throw new AppError("RESTORE_TOO_LARGE", `The ${what} has more than ${maxBytes} bytes.`, {
      metadata: { size_bytes: String(announced.sizeBytes), limit_bytes: String(maxBytes) },
      help: "Start a new session on a branch that has the changes.",
    });
  }

  /** Throws RESTORE_INVALID if these are more than was announced. */
  push(chunk: Uint8Array): void {
    this.#size += chunk.length;
    if (this.#size > this.#announced.sizeBytes) {
      throw invalid(`More than the announced ${this.#announced.sizeBytes} bytes of ${this.#what} came.`);
    }
    this.#chunks.push(chunk);
  }

  /** Throws RESTORE_INVALID if the bytes are not those that were announced. */
  bytes(): Buffer {
    const { sizeBytes, sha256 } = this.#announced;
    if (BigInt(this.#size) !== sizeBytes) {
      throw invalid(`${this.#size} of the announced ${sizeBytes} bytes of ${this.#what} came.`);
    }
    const bytes = Buffer.concat(this.#chunks);
    if (this.#size > 0 && !createHash("sha256").update(bytes).digest().equals(sha256)) {
      throw invalid(`The ${this.#what} does not have the announced hash.`);
    }
    return bytes;
  }
}

function invalid(message: string): AppError {
  return new AppError("RESTORE_INVALID", message, {
    help: "Send what the session before left, unchanged.",
  });
}
