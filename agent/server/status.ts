import { toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { anyPack, AnySchema } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { type AppError, type ErrorInfo, ErrorInfoSchema, GRPC_CODES } from "../../proto/index.ts";

/** Domain of the agent's errors in ErrorInfo. */
export const ERROR_DOMAIN = "agent.claudecluster.dev";

/** Status that grpc-js ends a call with. */
export interface CallStatus {
  code: grpc.status;
  details: string;
  metadata: grpc.Metadata;
}

/** Returns the gRPC status of an error: its sentence, and one ErrorInfo in the details. */
export function statusOf(error: AppError): CallStatus {
  const code = GRPC_CODES[error.kind];
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
