import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Container, ContainerExit, ContainerRef } from "../runtime.ts";
import type { FakeBox } from "./fake-box.ts";

/** A container of a fake machine, as a host sees it. */
export class FakeContainer implements Container {
  readonly ref: ContainerRef;
  readonly exited: Promise<ContainerExit>;
  readonly #box: FakeBox;

  constructor(box: FakeBox) {
    this.ref = box.ref;
    this.exited = box.exited;
    this.#box = box;
  }

  async dial({ signal }: { signal: AbortSignal }): Promise<Duplex> {
    signal.throwIfAborted();
    return await this.#box.connect(signal);
  }

  async stop({ graceMs }: { graceMs: number }): Promise<void> {
    const over = new AbortController();
    try {
      this.#box.terminate();
      await Promise.race([this.exited, sleep(graceMs, undefined, { signal: over.signal })]);
    } finally {
      over.abort();
    }
    this.#box.kill();
    await this.exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#box.kill();
    this.#box.remove();
    return Promise.resolve();
  }
}
