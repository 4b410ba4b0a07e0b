import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { anyUnpack, AnySchema } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { type ErrorInfo, ErrorInfoSchema } from "../../proto/index.ts";

/** A call that ended with another status than OK. */
export class CallFailed extends Error {
  override readonly name = "CallFailed";
  /** The status by name, such as "NOT_FOUND". */
  readonly status: string;
  /** Undefined: the status carried none. */
  readonly info: ErrorInfo | undefined;

  constructor(error: grpc.ServiceError) {
    super(error.message);
    this.status = grpc.status[error.code];
    this.info = readErrorInfo(error.metadata);
  }
}

/** Returns what a call of grpc-js failed with as CallFailed; other errors as they are. */
export function callFailed(error: unknown): Error {
  if (error instanceof Error && "code" in error && "metadata" in error) {
    return new CallFailed(error as grpc.ServiceError);
  }
  return error instanceof Error ? error : new Error(String(error));
}

/** Asserts that what is awaited is refused with this status and, if it is named, this reason. */
export async function refused(call: Promise<unknown>, status: string, reason?: string): Promise<CallFailed> {
  const failure = await call.then(
    () => assert.fail(`was accepted; expected ${status} ${reason ?? ""}`),
    (error: unknown) => error,
  );
  if (!(failure instanceof CallFailed)) throw failure;
  assert.equal(failure.status, status, `ended with ${failure.message}; expected ${status} ${reason ?? ""}`);
  if (reason !== undefined) assert.equal(failure.info?.reason, reason, "the ErrorInfo's reason");
  return failure;
}

/** The third field of google.rpc.Status. */
const DETAILS = 3;

function readErrorInfo(metadata: grpc.Metadata): ErrorInfo | undefined {
  const [bytes] = metadata.get("grpc-status-details-bin");
  if (!(bytes instanceof Uint8Array)) return undefined;
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field !== DETAILS) reader.skip(wireType, field);
    else {
      const info = anyUnpack(fromBinary(AnySchema, reader.bytes()), ErrorInfoSchema);
      if (info !== undefined) return info;
    }
  }
  return undefined;
}
