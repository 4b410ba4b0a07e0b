import { create } from "@bufbuild/protobuf";
import { AppError } from "./app-error.ts";
import { type Artifact, Artifact_Kind, ArtifactSchema } from "./gen/claudecluster/session/v1alpha1/artifact_pb.ts";

const MIB = 1024 * 1024;

/** Most bytes of an artifact in one message: far below gRPC's usual 4 MiB. */
export const PIECE_BYTES = 256 * 1024;

/** Most bytes of a patch. Nobody reviews a larger one. */
export const MAX_PATCH_BYTES = 256 * MIB;
/** Most bytes of a transcript. A day of work leaves less than ten MiB. */
export const MAX_TRANSCRIPT_BYTES = 64 * MIB;
/** Most bytes of the commits of a session, with their patches. */
export const MAX_COMMITS_BYTES = 64 * MIB;
/** Most commits of a session that are brought along. */
export const MAX_COMMITS = 1000;
/** Most refs of a session that are brought along. */
export const MAX_COMMIT_REFS = 100;

const KINDS = {
  [Artifact_Kind.PATCH]: { name: "patch", maxBytes: MAX_PATCH_BYTES, tooLarge: "PATCH_TOO_LARGE" },
  [Artifact_Kind.TRANSCRIPT]: {
    name: "transcript",
    maxBytes: MAX_TRANSCRIPT_BYTES,
    tooLarge: "TRANSCRIPT_TOO_LARGE",
  },
  [Artifact_Kind.COMMITS]: { name: "commits", maxBytes: MAX_COMMITS_BYTES, tooLarge: "COMMITS_TOO_LARGE" },
} as const;

/** Kinds that an artifact can have. */
export type ArtifactKind = keyof typeof KINDS;

/** Returns the kind that a caller has named. Throws ARTIFACT_KIND_UNKNOWN. */
export function requireArtifactKind(kind: Artifact_Kind): ArtifactKind {
  if (kind in KINDS) return kind as ArtifactKind;
  throw new AppError("ARTIFACT_KIND_UNKNOWN", `There are no artifacts of kind ${kind}.`, {
    help: "Ask for a patch, a transcript or commits.",
  });
}

/** Returns the word for a kind of artifacts, for messages and names of files. */
export function artifactName(kind: ArtifactKind): string {
  return KINDS[kind].name;
}

/** Artifact whose bytes can be read. */
export interface ReadableArtifact {
  /** Description of the artifact: its kind, size and hash. */
  readonly artifact: Artifact;
  /** Reads the bytes from `offset` on, in pieces of at most PIECE_BYTES. Default: all. */
  read(options?: { offset?: number }): AsyncIterable<Uint8Array>;
}

/** Yields bytes from an offset on, in pieces of at most PIECE_BYTES. Without bytes there are no pieces. */
export function* pieces(bytes: Uint8Array, offset = 0): Generator<Uint8Array> {
  for (let at = offset; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

/**
 * Yields the messages that answer ReadArtifact: first the artifact's description, then its bytes from `offset` on.
 * Throws OFFSET_INVALID if the artifact has fewer bytes.
 */
export async function* artifactMessages(
  artifact: Artifact,
  offset: bigint,
  read: (offset: number) => Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<{ artifact?: Artifact; data: Uint8Array }> {
  const { kind, sizeBytes } = artifact;
  if (offset < 0n || offset > sizeBytes) {
    throw wrongOffset(requireArtifactKind(kind), { offset, receivedBytes: Number(sizeBytes) });
  }
  yield { artifact, data: new Uint8Array() };
  for await (const data of read(Number(offset))) yield { data };
}

/** Returns the error for an offset beyond the bytes that have come. */
export function wrongOffset(kind: ArtifactKind, facts: { offset: bigint; receivedBytes: number }): AppError {
  const { offset, receivedBytes } = facts;
  const { name } = KINDS[kind];
  return new AppError("OFFSET_INVALID", `The ${name} has ${receivedBytes} bytes so far, and none at ${offset}.`, {
    metadata: { kind: name, offset: String(offset), received_size_bytes: String(receivedBytes) },
    help: "Go on from received_size_bytes.",
  });
}

/** SHA-256 as node:crypto has it. */
interface Hash {
  update(data: Uint8Array): unknown;
  digest(): Uint8Array;
}

/** Check of an artifact while its bytes come: it counts and hashes them, and compares both with what was announced. */
export class ArtifactCheck {
  /** Kind of the artifact. It decides how large the artifact may be. */
  readonly kind: ArtifactKind;
  readonly #announced: Artifact | undefined;
  readonly #hash: Hash;
  #sizeBytes = 0;

  /**
   * Starts the check. Without `announced` any content up to the kind's limit passes. Throws PATCH_TOO_LARGE,
   * TRANSCRIPT_TOO_LARGE, or ARTIFACT_INVALID if what is announced cannot be.
   */
  constructor(kind: ArtifactKind, { announced, hash }: { announced?: Artifact | undefined; hash: Hash }) {
    this.kind = kind;
    this.#announced = announced;
    this.#hash = hash;
    if (announced === undefined) return;
    if (announced.sizeBytes < 0n) throw invalid(kind, `cannot have ${announced.sizeBytes} bytes`);
    if (announced.sizeBytes > KINDS[kind].maxBytes) throw tooLarge(kind);
  }

  /** Number of bytes that have come. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Takes the next bytes. Throws PATCH_TOO_LARGE, TRANSCRIPT_TOO_LARGE, or ARTIFACT_INVALID if there are more than
   * announced.
   */
  add(data: Uint8Array): void {
    this.#sizeBytes += data.length;
    if (this.#announced !== undefined && this.#sizeBytes > this.#announced.sizeBytes) {
      throw invalid(this.kind, `has more than the announced ${this.#announced.sizeBytes} bytes`);
    }
    if (this.#sizeBytes > KINDS[this.kind].maxBytes) throw tooLarge(this.kind);
    this.#hash.update(data);
  }

  /** Returns the description of the whole artifact. Throws ARTIFACT_INVALID if it is not the announced one. */
  finish(): Artifact {
    const sizeBytes = BigInt(this.#sizeBytes);
    const sha256 = new Uint8Array(this.#hash.digest());
    const announced = this.#announced;
    if (announced !== undefined && announced.sizeBytes !== sizeBytes) {
      throw invalid(this.kind, `has ${sizeBytes} of the announced ${announced.sizeBytes} bytes`);
    }
    if (announced !== undefined && sizeBytes > 0n && !sameBytes(announced.sha256, sha256)) {
      throw invalid(this.kind, "does not have the announced hash");
    }
    return create(ArtifactSchema, { kind: this.kind, sizeBytes, sha256 });
  }
}

/** Returns whether two artifacts have the same kind, size and hash. */
export function sameArtifact(a: Artifact, b: Artifact): boolean {
  return a.kind === b.kind && a.sizeBytes === b.sizeBytes && sameBytes(a.sha256, b.sha256);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

function tooLarge(kind: ArtifactKind): AppError {
  const { name, maxBytes, tooLarge: reason } = KINDS[kind];
  return new AppError(reason, `The ${name} is larger than ${maxBytes / MIB} MiB.`, {
    metadata: { kind: name, limit_bytes: String(maxBytes) },
    help: "Have build output ignored by .gitignore.",
  });
}

function invalid(kind: ArtifactKind, what: string): AppError {
  return new AppError("ARTIFACT_INVALID", `The ${KINDS[kind].name} ${what}.`, {
    metadata: { kind: KINDS[kind].name },
    help: "Send it as it is, from the first byte to the last.",
  });
}
