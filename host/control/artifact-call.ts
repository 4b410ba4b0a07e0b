import { AppError, type Artifact, type ArtifactKind } from "../../proto/index.ts";
import type { ControlClient } from "./control-client.ts";

/** Call of ReadArtifact whose artifact is described. Disposing of it ends the call. */
export interface ArtifactCall extends Disposable {
  readonly artifact: Artifact;
  /** Bytes of the artifact. They can be read once. */
  readonly data: AsyncIterable<Uint8Array>;
}

/** Opens an artifact of a session, from an offset on. Throws what the host answers. */
export async function openArtifactCall(
  client: ControlClient["sessions"],
  { sessionId, kind, offset }: { sessionId: string; kind: ArtifactKind; offset: number },
): Promise<ArtifactCall> {
  const over = new AbortController();
  const messages = client.readArtifact({ sessionId, kind, offset: BigInt(offset) }, { signal: over.signal });
  const iterator = messages[Symbol.asyncIterator]();
  const end = () => over.abort();
  try {
    const first = await iterator.next();
    if (first.done === true || first.value.artifact === undefined) throw silent();
    const { artifact, data } = first.value;
    return { artifact, data: rest(data, iterator), [Symbol.dispose]: end };
  } catch (error) {
    end();
    throw error;
  }
}

async function* rest(
  first: Uint8Array,
  iterator: AsyncIterator<{ data: Uint8Array }>,
): AsyncGenerator<Uint8Array, undefined> {
  if (first.length > 0) yield first;
  for (;;) {
    const next = await iterator.next();
    if (next.done === true) return;
    yield next.value.data;
  }
}

function silent(): AppError {
  return new AppError("HOST_INVALID", "The host did not say what it sends.");
}
