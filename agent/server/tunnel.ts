import { AppError, type TunnelRequest } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import type { Carriage } from "../relay/taken-connections.ts";
import type { OutwardMessage } from "../relay/relayed-connection.ts";
import type { CallContext } from "./grpc-service.ts";

/**
 * Carries a connection between its program and a host. It ends well only when both sides have ended. If the host goes
 * before, the program sees a reset; with a resumable connection it sees nothing, and another call carries on.
 */
export async function* tunnel(
  core: AgentCore,
  requests: AsyncIterable<TunnelRequest>,
  { signal }: CallContext,
): AsyncGenerator<OutwardMessage & { resumable?: boolean }> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) {
    throw new AppError("CONNECTION_ID_EXPECTED", "The first message of Tunnel must name a connection.");
  }
  const { connectionId, resumable, receivedSizeBytes } = first.value;
  using carriage = core.relay.take(connectionId, { resumable });
  const { connection } = carriage;
  const from = resumable ? Number(receivedSizeBytes) : 0;
  if (!connection.holds(from)) throw notHeld(connectionId, from);
  connection.acknowledge(from);
  /** The number of the host's next byte. */
  const position = connection.takenBytes;
  const over = new AbortController();
  const ended = AbortSignal.any([signal, carriage.signal, over.signal]);
  // A program is told at once, also one that has nothing to say.
  const cut = () => carriage.cut();
  if (!resumable) signal.addEventListener("abort", cut, { once: true });
  try {
    yield resumable ? { resumable, receivedSizeBytes: BigInt(position) } : {};
    const inwards = carryIn(carriage, { first: first.value, iterator, position });
    inwards.catch((error: unknown) => over.abort(error));
    let told = from;
    for await (const message of connection.messages(from, ended)) {
      told += message.data?.length ?? 0;
      const { data, end } = message;
      if (resumable) yield message;
      else if (end === true) yield { end };
      else if (data !== undefined && data.length > 0) {
        yield { data };
        connection.acknowledge(told);
      }
    }
    await inwards;
  } finally {
    signal.removeEventListener("abort", cut);
  }
}

/** Takes what the host says, to the end of the call. */
async function carryIn(
  carriage: Carriage,
  { first, iterator, position }: { first: TunnelRequest; iterator: AsyncIterator<TunnelRequest>; position: number },
): Promise<void> {
  const { connection } = carriage;
  const { resumable } = first;
  let next = position;
  for (let request = first; ;) {
    if (resumable && request.reset) return carriage.cut();
    if (resumable) connection.acknowledge(Number(request.receivedSizeBytes));
    if (request.data.length > 0) {
      connection.write(request.data, next);
      next += request.data.length;
      // Behind what a program does not read there may be acknowledgements, without which it may not go on to write.
      if (!resumable || connection.overfull) await connection.drained();
    }
    if (request.end) connection.end();
    if (request.end && !resumable) return;
    const result = await iterator.next();
    if (result.done === true) {
      if (connection.endGiven) return;
      // The end of the stream alone is no proof of a good end: a canceled call looks the same.
      if (!resumable) carriage.cut();
      throw new AppError("TUNNEL_ENDED", "The tunnel ended without saying so.");
    }
    request = result.value;
  }
}

function notHeld(connectionId: string, from: number): AppError {
  return new AppError("RECEIVED_SIZE_INVALID", `Connection "${connectionId}" cannot go on after ${from} bytes.`, {
    metadata: { connection_id: connectionId },
    help: "received_size_bytes is what was received in all, and never falls.",
  });
}
