import { type Duplex, duplexPair } from "node:stream";
import { AgentStream } from "../agent-stream.ts";

/** Lets bytes pass, or holds them. */
export interface Gate {
  readonly opened: Promise<void>;
}

/** A connection to a fake agent: a stream for the host, one for the agent, and a wire in between. */
export class FakeConnection {
  readonly host: Duplex;
  readonly agent: Duplex;
  readonly #carrier: Duplex;

  constructor(gate: Gate) {
    const [carrier, hostEnd] = duplexPair();
    const [agent, agentEnd] = duplexPair();
    this.#carrier = carrier;
    this.agent = agent;
    this.host = new AgentStream(carrier);
    relay(hostEnd, agentEnd, gate);
    relay(agentEnd, hostEnd, gate);
    // In a pair nobody learns that the other side was destroyed. What the agent had written still arrives.
    agent.once("close", () => agentEnd.push(null));
    carrier.once("close", () => {
      for (const stream of [hostEnd, agentEnd, agent]) stream.destroy();
    });
  }

  /** The agent is gone. */
  end(): void {
    this.agent.destroy();
  }

  /** The wire is cut: the host learns it, and what is under way is lost. */
  cut(): void {
    this.#carrier.destroy();
  }
}

/** Ends with either stream. */
function relay(from: Duplex, to: Duplex, gate: Gate): void {
  // The iterator's default would destroy a stream that only its other half has ended.
  const chunks = (from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  // A function of its own: a loop that waits for the next chunk holds the one before.
  const forward = async () => {
    const { done, value } = await chunks.next();
    await gate.opened;
    if (done === true) return false;
    if (!to.write(value)) await drained(to);
    return true;
  };
  const pump = async () => {
    while (await forward());
    to.end();
  };
  to.on("error", () => {}); // "close" says it all
  pump().catch(() => to.destroy());
}

function drained(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off("drain", done).off("close", done);
      resolve();
    };
    stream.on("drain", done).on("close", done);
  });
}
