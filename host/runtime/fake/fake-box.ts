import type { Duplex } from "node:stream";
import { AppError } from "../../../proto/index.ts";
import { raceSignal } from "../race-signal.ts";
import type { ContainerExit, ContainerRef } from "../runtime.ts";
import type { FakeAgent } from "./fake-agent.ts";
import { FakeConnection } from "./fake-connection.ts";

interface BoxOptions {
  ref: ContainerRef;
  hostId: string;
  agent: FakeAgent;
  /** Resolves when a runtime may remove it. */
  onRemove: () => Promise<void>;
  onRemoved: () => void;
}

/** A fake container as its machine sees it; a test does to it what may happen to a real one. */
export class FakeBox {
  readonly hostId: string;
  readonly ref: ContainerRef;
  readonly exited: Promise<ContainerExit>;
  /** When it ended, ms since 1970. Undefined while it runs or is paused. */
  endTimeMs: number | undefined;
  readonly #agent: FakeAgent;
  readonly #gate: { opened: Promise<void>; open?: (() => void) | undefined } = { opened: Promise.resolve() };
  readonly #connections = new Set<FakeConnection>();
  readonly #onRemove: () => Promise<void>;
  readonly #onRemoved: () => void;
  #resolveExited!: (exit: ContainerExit) => void;
  #exit: ContainerExit | undefined;
  #outOfMemory = false;

  constructor({ ref, hostId, agent, onRemove, onRemoved }: BoxOptions) {
    this.hostId = hostId;
    this.ref = ref;
    this.#agent = agent;
    this.#onRemove = onRemove;
    this.#onRemoved = onRemoved;
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
    void agent.exited.then(({ exitCode }) => this.exit({ exitCode })); // an agent's end never rejects
  }

  get paused(): boolean {
    return this.#gate.open !== undefined;
  }

  /** Connections that are open. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Opens a connection to the agent; waits while the box is paused. */
  async connect(signal: AbortSignal): Promise<Duplex> {
    while (this.paused) await raceSignal(this.#gate.opened, signal);
    signal.throwIfAborted();
    if (this.#exit !== undefined) throw ended(this.ref.id, this.#exit);
    const connection = new FakeConnection(this.#gate);
    this.#connections.add(connection);
    connection.host.once("close", () => this.#connections.delete(connection));
    this.#agent.serve(connection.agent);
    return connection.host;
  }

  /** Ends the container, with these facts. Later facts are not looked at. */
  exit(facts: Partial<ContainerExit>): void {
    if (this.#exit !== undefined) return;
    this.endTimeMs = Date.now();
    const killed = this.#outOfMemory ? "outOfMemory" : "killed";
    this.#exit = {
      cause: facts.exitCode === 137 ? killed : "exited",
      exitCode: undefined,
      lastLogLines: [...(this.#agent.logLines ?? [])].slice(-20),
      ...facts,
    };
    this.#agent.kill();
    this.resume();
    for (const connection of this.#connections) connection.end();
    this.#resolveExited(this.#exit);
  }

  /** Something in it, not the agent, is killed for want of memory. */
  markOutOfMemory(): void {
    this.#outOfMemory = true;
  }

  kill(): void {
    this.exit({ exitCode: 137 });
  }

  /** Kills and removes it, as its runtime does. */
  async dispose(): Promise<void> {
    this.kill();
    await this.#onRemove();
    this.remove();
  }

  /** Removes it as if behind the host's back. */
  remove(): void {
    this.exit({ cause: "removed", lastLogLines: [] });
    this.#onRemoved();
  }

  /** Nothing moves any more, in or out. */
  pause(): void {
    if (this.paused || this.#exit !== undefined) return;
    this.#gate.opened = new Promise((resolve) => {
      this.#gate.open = resolve;
    });
  }

  resume(): void {
    this.#gate.open?.();
    this.#gate.open = undefined;
  }

  /** Breaks connections, the oldest first; by default all. */
  cutConnections(count = Infinity): void {
    for (const connection of [...this.#connections].slice(0, count)) connection.cut();
  }
}

function ended(id: string, { exitCode }: ContainerExit): AppError {
  const code = exitCode === undefined ? "" : ` with code ${exitCode}`;
  return new AppError("CONTAINER_EXITED", `The container ${id} has ended${code}.`, {
    metadata: { container: id },
    help: "A container that has ended does not come back: continue the session in a new one.",
  });
}
