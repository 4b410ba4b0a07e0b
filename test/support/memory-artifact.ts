import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { type ArtifactKind, ArtifactSchema, pieces } from "../../proto/index.ts";
import type { OpenArtifact } from "../../host/session/sessions.ts";

/** Returns an artifact whose bytes are in memory. */
export function memoryArtifact(kind: ArtifactKind, bytes: Uint8Array): OpenArtifact {
  const sha256 = createHash("sha256").update(bytes).digest();
  return {
    artifact: create(ArtifactSchema, { kind, sizeBytes: BigInt(bytes.length), sha256 }),
    async *read({ offset = 0 } = {}) {
      yield* pieces(bytes, offset);
    },
    [Symbol.dispose]: () => {},
  };
}
