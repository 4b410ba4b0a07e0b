import { toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { anyPack, AnySchema } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { type AppError, type ErrorInfo, ErrorInfoSchema, type ErrorKind } from "../../proto/index.ts";

/** Who found the error, as ErrorInfo says it. */
export const ERROR_DOMAIN = "agent.claudecluster.dev";

const CODES: Readonly<Record<ErrorKind, grpc.status>> = {
  INVALID_ARGUMENT: grpc.status.INVALID_ARGUMENT,
  FAILED_PRECONDITION: grpc.status.FAILED_PRECONDITION,
  NOT_FOUND: grpc.status.NOT_FOUND,
  ABORTED: grpc.status.ABORTED,
  OUT_OF_RANGE: grpc.status.OUT_OF_RANGE,
  RESOURCE_EXHAUSTED: grpc.status.RESOURCE_EXHAUSTED,
  UNAVAILABLE: grpc.status.UNAVAILABLE,
  UNAUTHENTICATED: grpc.status.UNAUTHENTICATED,
  PERMISSION_DENIED: grpc.status.PERMISSION_DENIED,
  DEADLINE_EXCEEDED: grpc.status.DEADLINE_EXCEEDED,
  CANCELED: grpc.status.CANCELLED,
  INTERNAL: grpc.status.INTERNAL,
};

/** What grpc-js sends as the end of a call. */
export interface CallStatus {
  code: grpc.status;
  details: string;
  metadata: grpc.Metadata;
}

/** Returns the gRPC status of an error: its sentence, and one ErrorInfo where clients look for details. */
export function statusOf(error: AppError): CallStatus {
  const code = CODES[error.kind];
  // grpc-js percent-encodes the text and would throw on half a character.
  const details = error.message.toWellFormed();
  const metadata = new grpc.Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(encodeStatus(code, details, error.toErrorInfo(ERROR_DOMAIN))));
  return { code, details, metadata };
}

/** google.rpc.Status, written by hand: three fields that will not change. */
function encodeStatus(code: number, message: string, info: ErrorInfo): Uint8Array {
  const any = toBinary(AnySchema, anyPack(ErrorInfoSchema, info));
  return new BinaryWriter()
    .tag(1, WireType.Varint)
    .int32(code)
    .tag(2, WireType.LengthDelimited)
    .string(message)
    .tag(3, WireType.LengthDelimited)
    .bytes(any)
    .finish();
}
