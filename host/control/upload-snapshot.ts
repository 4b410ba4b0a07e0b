import type { MessageInitShape } from "@bufbuild/protobuf";
import { AppError } from "../../proto/index.ts";
import type {
  UploadHave,
  UploadSnapshotRequest,
  UploadSnapshotRequestSchema,
  UploadSnapshotResponseSchema,
  UploadStart,
  UploadStartSchema,
} from "../../proto/control.ts";
import type { ControlClient } from "./control-client.ts";

/** Taker of the snapshots that callers upload. */
export interface UploadTaker {
  /** Takes in a snapshot, as UploadSnapshot says. */
  receive(
    start: UploadStart,
    data: AsyncIterable<Uint8Array>,
    options: { signal: AbortSignal },
  ): AsyncGenerator<MessageInitShape<typeof UploadSnapshotResponseSchema>, undefined>;
}

/** Serves UploadSnapshot: the first request says what comes, the others hold it. Throws SNAPSHOT_INVALID, and what the taker throws. */
export async function* receiveUpload(
  taker: UploadTaker,
  requests: AsyncIterable<UploadSnapshotRequest>,
  options: { signal: AbortSignal },
): AsyncGenerator<MessageInitShape<typeof UploadSnapshotResponseSchema>, undefined> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true || first.value.request.case !== "start") throw unexpected();
  const data = async function* () {
    for await (const { request } of { [Symbol.asyncIterator]: () => iterator }) {
      if (request.case !== "data") throw unexpected();
      yield request.value;
    }
  };
  yield* taker.receive(first.value.request.value, data(), options);
}

/** Upload of a snapshot, for a client. */
export interface Upload {
  start: MessageInitShape<typeof UploadStartSchema>;
  /** Returns the pack of what is missing, by what the host has. Asked once for each attempt. */
  pack: (haves: readonly UploadHave[]) => AsyncIterable<Uint8Array>;
  /** Called with the bytes that the host has of the pack, from time to time. */
  onProgress?: ((receivedBytes: number) => void) | undefined;
  signal: AbortSignal;
}

/** Calls UploadSnapshot and returns the upload's id. Throws what the pack throws, and what the host answers. */
export async function callUpload(
  client: ControlClient["sessions"],
  { start, pack, onProgress, signal }: Upload,
): Promise<string> {
  const over = new AbortController();
  const haves = Promise.withResolvers<readonly UploadHave[]>();
  haves.promise.catch(() => undefined);
  let failure: { error: unknown } | undefined;
  const requests = async function* (): AsyncGenerator<MessageInitShape<typeof UploadSnapshotRequestSchema>> {
    yield { request: { case: "start", value: start } };
    try {
      for await (const value of pack(await haves.promise)) yield { request: { case: "data", value } };
    } catch (error) {
      failure ??= { error };
      throw error;
    }
  };
  try {
    const options = { signal: AbortSignal.any([signal, over.signal]) };
    for await (const { response } of client.uploadSnapshot(requests(), options)) {
      if (response.case === "haves") haves.resolve(response.value.haves);
      if (response.case === "progress") onProgress?.(Number(response.value.receivedBytes));
      if (response.case === "uploaded") return response.value.uploadId;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw failure?.error ?? error;
  } finally {
    over.abort();
    haves.reject(over.signal.reason);
  }
  throw new AppError("HOST_INVALID", "The host did not say that it has the upload.");
}

function unexpected(): AppError {
  return new AppError("SNAPSHOT_INVALID", "An upload begins with its start, and goes on with its data.");
}
