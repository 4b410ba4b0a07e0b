import type { Duplex } from "node:stream";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AgentService, type SilenceOptions, watchSilence } from "../../proto/index.ts";
import { connectionLost, connectionSilent } from "./agent-error.ts";
import { writeEagerly } from "./eager-writes.ts";
import { tunnelCall } from "./tunnel-call.ts";
import { SafeHttp2SessionManager, WINDOW_BYTES } from "../rpc/safe-session-manager.ts";

/**
 * Without a call for so long, nobody uses the connection. Not longer: connect-node 2.2 starts this timer once more when the
 * calls of a connection end with it, and until it is over what the connection was stays in memory.
 */
const IDLE_MS = 60_000;
/**
 * A vanished agent is noticed after the sum of these. Not sooner: on a machine with more to do than it can, an agent may get
 * no processor for seconds, and a connection that is given up by mistake costs more than one that is given up late.
 */
const SILENCE = { pingMs: 5_000, answerMs: 25_000 };
/**
 * No message is above these (bytes): a tunnel's (64 KiB, and what is said of it), pieces of something larger (256 KiB, and
 * what is said of it), batches of events, a session with its whole result. What is read takes a hundred times as much memory, and time in which the host does
 * nothing else, if it is made for that.
 */
const TUNNEL_BYTES = 65 * 1024;
const PIECE_BYTES = 320 * 1024;
const BATCH_BYTES = 1024 * 1024;
const SESSION_BYTES = 4 * 1024 * 1024;

/** Typed client of the agent's service. */
export type AgentClient = Client<typeof AgentService>;

/**
 * gRPC connection to an agent over a byte stream that somebody has dialled. It never reconnects: once the stream is
 * lost every call fails, and the owner dials again. Disposing of it closes the stream.
 */
export class AgentConnection implements Disposable {
  readonly client: AgentClient;
  readonly #duplex: Duplex;
  readonly #manager: SafeHttp2SessionManager;

  constructor(duplex: Duplex, silence: SilenceOptions = SILENCE) {
    this.#duplex = duplex;
    // Without a listener an error after the last call would end the process.
    duplex.on("error", () => {});
    // Node answers an end with an end and may then write a GOAWAY, which fails an assertion of its own
    // where the stream is no socket. No half of an agent's connection is of use without the other.
    duplex.once("end", () => duplex.destroy());
    writeEagerly(duplex);
    let used = false;
    this.#manager = new SafeHttp2SessionManager(
      "http://agent",
      { idleConnectionTimeoutMs: IDLE_MS },
      {
        settings: { initialWindowSize: WINDOW_BYTES },
        createConnection: () => {
          if (used || duplex.destroyed) throw connectionLost();
          used = true;
          return duplex;
        },
      },
    );
    this.#manager.onSession = (session) => watchSilence(session, silence, () => duplex.destroy(connectionSilent()));
    const { getSession, startSession } = this.#clientFor(SESSION_BYTES);
    const { attach, watchEvents } = this.#clientFor(BATCH_BYTES);
    const tunnel = tunnelCall(this.#manager, { readMaxBytes: TUNNEL_BYTES });
    this.client = { ...this.#clientFor(PIECE_BYTES), tunnel, getSession, startSession, attach, watchEvents };
  }

  #clientFor(readMaxBytes: number): AgentClient {
    const transport = createGrpcTransport({
      baseUrl: "http://agent",
      sessionManager: this.#manager,
      acceptCompression: [],
      readMaxBytes,
      binaryOptions: { readUnknownFields: false },
    });
    return createClient(AgentService, transport);
  }

  [Symbol.dispose](): void {
    this.#manager.abort();
    this.#duplex.destroy();
  }
}
