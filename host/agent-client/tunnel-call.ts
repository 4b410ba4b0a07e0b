import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { createNodeHttpClient, type Http2SessionManager } from "@connectrpc/connect-node";
import { requestHeader, validateResponseWithCompression, validateTrailer } from "@connectrpc/connect/protocol-grpc";
import { AgentService, encodeDataMessage, type TunnelRequestSchema, TunnelResponseSchema } from "../../proto/index.ts";
import { FRAME_HEAD_BYTES, GrpcFrames, writeFrameHead } from "./grpc-frames.ts";

/** Room for a piece of a tunnel (64 KiB), and what is said of it. */
const MAX_FRAME_BYTES = 65 * 1024;
/** Smaller frames have memory of their size: many may wait at once. */
const SMALL_BYTES = 16 * 1024;
/** Frames of one connection whose memory is kept for the next ones. */
const MAX_SPARE = 4;

type Request = MessageInitShape<typeof TunnelRequestSchema>;

/**
 * Returns the call of Tunnel over a session: gRPC as connect-node's transport has it, without the copies. On their way
 * through that, bytes are copied eight times into fresh memory, which costs more than all else that a tunnel does.
 */
export function tunnelCall(
  sessionManager: Http2SessionManager,
  { readMaxBytes }: { readMaxBytes: number },
): Client<typeof AgentService>["tunnel"] {
  const { parent, name, input } = AgentService.method.tunnel;
  const url = `${sessionManager.authority}/${parent.typeName}/${name}`;
  /** Memory for frames: fresh one for each would be the garbage collector's main work. */
  const spare: Buffer[] = [];
  const http = createNodeHttpClient({ httpVersion: "2", sessionProvider: () => sessionManager });
  return async function* (requests, { signal } = {}) {
    const { status, header, body, trailer } = await http({
      url,
      method: "POST",
      header: requestHeader(true, undefined, undefined),
      body: framed(requests),
      ...(signal !== undefined && { signal }),
    });
    const { foundStatus, headerError } = validateResponseWithCompression([], status, header);
    if (headerError !== undefined) throw headerError;
    const frames = new GrpcFrames(readMaxBytes);
    for await (const chunk of body) {
      for (const message of frames.take(chunk)) {
        yield fromBinary(TunnelResponseSchema, message, { readUnknownFields: false });
      }
    }
    if (!frames.whole) throw new ConnectError("a message was cut", Code.Internal);
    if (!foundStatus) validateTrailer(trailer, header);
  };

  async function* framed(requests: AsyncIterable<Request>): AsyncGenerator<Buffer> {
    for await (const request of requests) {
      let memory: Buffer | undefined;
      const allocate = (bytes: number) => {
        if (bytes < SMALL_BYTES) return Buffer.allocUnsafe(bytes);
        memory = spare.pop() ?? Buffer.allocUnsafeSlow(MAX_FRAME_BYTES);
        return memory.subarray(0, bytes);
      };
      const frame = encodeDataMessage(input, request, { roomBytes: FRAME_HEAD_BYTES, allocate });
      writeFrameHead(frame);
      yield frame;
      // Asked for the next one: this one has been written.
      if (memory !== undefined && spare.length < MAX_SPARE) spare.push(memory);
    }
  }
}
