import { createHash } from "node:crypto";
import {
  AppError,
  type Artifact,
  Artifact_Kind,
  ArtifactCheck,
  type ArtifactKind,
  sameArtifact,
  wrongOffset,
} from "../../proto/index.ts";

/** State that an earlier session left, for the session that continues it. */
export interface Restore {
  /** Id of its conversation. Empty: it had none, or none that is known. */
  readonly conversationId: string;
  /** Patch against the commit that the new session starts from. Empty: nothing had changed. */
  readonly patch: Buffer;
  /** Transcript of Claude Code. Empty: there is none. */
  readonly transcript: Buffer;
}

/** Call that brings an artifact. */
export interface ArtifactWriter {
  /** Takes the next bytes. Throws ARTIFACT_INVALID if there are more than announced, CALLER_REPLACED. */
  push(data: Uint8Array): void;
  /** Ends the artifact. Throws ARTIFACT_INVALID if it is not the announced one, CALLER_REPLACED. */
  finish(): void;
}

/** Artifact in memory, as far as it has come. */
interface Incoming {
  readonly artifact: Artifact;
  readonly bytes: Buffer;
  readonly check: ArtifactCheck;
  whole: boolean;
  /** The newest call that brings it. */
  writer: ArtifactWriter | undefined;
}

/** Artifacts that are sent for a session before it is started, one of each kind. */
export class IncomingArtifacts {
  readonly #incoming = new Map<ArtifactKind, Incoming>();
  /** Id of the conversation by RestoreSession. Newer hosts give it to StartSession. */
  conversationId = "";

  /**
   * Begins an artifact, or continues it at an offset if an earlier call broke off. Throws PATCH_TOO_LARGE,
   * TRANSCRIPT_TOO_LARGE, ARTIFACT_INVALID, OFFSET_INVALID.
   */
  begin(kind: ArtifactKind, artifact: Artifact, offset = 0n): ArtifactWriter {
    const before = this.#incoming.get(kind);
    const incoming = before !== undefined && sameArtifact(before.artifact, artifact) ? before : empty(kind, artifact);
    const receivedBytes = incoming.check.sizeBytes;
    if (offset < 0n || offset > BigInt(receivedBytes)) throw wrongOffset(kind, { offset, receivedBytes });
    this.#incoming.set(kind, incoming);
    let known = receivedBytes - Number(offset);
    const requireTurn = () => {
      if (incoming.writer !== writer) throw replaced();
    };
    const writer: ArtifactWriter = {
      push: (data) => {
        requireTurn();
        const fresh = data.subarray(known);
        known -= data.length - fresh.length;
        if (fresh.length === 0) return;
        const at = incoming.check.sizeBytes;
        this.#orForget(kind, () => incoming.check.add(fresh));
        incoming.bytes.set(fresh, at);
      },
      finish: () => {
        requireTurn();
        if (!incoming.whole) this.#orForget(kind, () => incoming.check.finish());
        incoming.whole = true;
      },
    };
    incoming.writer = writer;
    return writer;
  }

  /** Returns the state to restore. Undefined: the patch has not come, or an artifact is not whole. */
  restore(conversationId: string): Restore | undefined {
    const patch = this.#incoming.get(Artifact_Kind.PATCH);
    const transcript = this.#incoming.get(Artifact_Kind.TRANSCRIPT);
    if (patch?.whole !== true || transcript?.whole === false) return undefined;
    return {
      conversationId: conversationId === "" ? this.conversationId : conversationId,
      patch: patch.bytes,
      transcript: transcript?.bytes ?? Buffer.alloc(0),
    };
  }

  /** Does something; where it fails, the artifact has to be sent anew. */
  #orForget(kind: ArtifactKind, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#incoming.delete(kind);
      throw error;
    }
  }
}

function empty(kind: ArtifactKind, artifact: Artifact): Incoming {
  const check = new ArtifactCheck(kind, { announced: artifact, hash: createHash("sha256") });
  return {
    artifact,
    check,
    bytes: Buffer.allocUnsafeSlow(Number(artifact.sizeBytes)),
    whole: false,
    writer: undefined,
  };
}

function replaced(): AppError {
  return new AppError("CALLER_REPLACED", "Another call brings this artifact now.", { kind: "ABORTED" });
}
