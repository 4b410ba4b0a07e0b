import { AppError, type TunnelRequest } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import type { RelayedConnection } from "../relay/relayed-connection.ts";
import type { CallContext } from "./grpc-service.ts";

/** Proto: at most this many bytes a message. */
const MAX_DATA_BYTES = 64 * 1024;

/**
 * Carries one connection. Ends well only when both sides have said that they are done; when the
 * host goes before, the program sees a reset.
 */
export async function* tunnel(
  core: AgentCore,
  requests: AsyncIterable<TunnelRequest>,
  { signal }: CallContext,
): AsyncGenerator<{ data?: Uint8Array; end?: boolean }> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) {
    throw new AppError("CONNECTION_ID_EXPECTED", "The first message of Tunnel must name a connection.", {
      kind: "INVALID_ARGUMENT",
    });
  }
  const connection = core.relay.take(first.value.connectionId);
  let over = false;
  const reset = () => {
    if (!over) core.relay.cutCount += 1;
    over = true;
    connection.reset();
  };
  signal.addEventListener("abort", reset, { once: true });
  try {
    yield {};
    const towardsProgram = carryIn(connection, first.value, iterator, reset);
    // The loop below meets the same failure: carryIn resets the connection when it fails.
    towardsProgram.catch(() => {});
    for await (const chunk of connection.read()) {
      for (let start = 0; start < chunk.length; start += MAX_DATA_BYTES) {
        yield { data: chunk.subarray(start, start + MAX_DATA_BYTES) };
      }
    }
    yield { end: true };
    await towardsProgram;
    await connection.finished();
    over = true;
  } finally {
    signal.removeEventListener("abort", reset);
    reset();
  }
}

async function carryIn(
  connection: RelayedConnection,
  first: TunnelRequest,
  rest: AsyncIterator<TunnelRequest>,
  reset: () => void,
): Promise<void> {
  try {
    for (let request = first; ;) {
      if (request.data.length > 0) await connection.write(request.data);
      if (request.end) return connection.end();
      const next = await rest.next();
      if (next.done === true) {
        // The end of the stream alone is no proof of a good end: a canceled call looks the same.
        throw new AppError("TUNNEL_ENDED", "The tunnel ended without saying so.", { kind: "ABORTED" });
      }
      request = next.value;
    }
  } catch (error) {
    reset();
    throw error;
  }
}
