import type { Duplex } from "node:stream";
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

  [Symbol.asyncDispose](): Promise<void> {
    return this.#box.dispose();
  }
}
