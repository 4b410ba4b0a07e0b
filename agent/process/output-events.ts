import { create } from "@bufbuild/protobuf";
import { type EventBody, OutputTruncatedSchema } from "../../proto/index.ts";

/** Enough for every stack trace; a program that fills its error output all the time says nothing new. */
const ALL_BYTES = 1024 * 1024;
const WINDOW_BYTES = 64 * 1024;
const WINDOW_MS = 1000;
const EVENT_BYTES = 32 * 1024;
const TAIL_BYTES = 2048;

/** Output whose events are made: what it is called where some was left out, and the event for a piece of it. */
interface Source {
  name: string;
  toEvent(data: Uint8Array<ArrayBuffer>): EventBody;
}

/** Events of a program's output: at most 64 KiB a second, and 1 MiB in all. The rest is counted. */
export class OutputEvents {
  readonly #source: Source;
  readonly #now: () => number;
  #tail = Buffer.alloc(0);
  #allBytes = 0;
  #windowBytes = 0;
  #windowStart = 0;
  #droppedBytes = 0;

  constructor(source: Source, { now = Date.now }: { now?: () => number } = {}) {
    this.#source = source;
    this.#now = now;
  }

  /** Last two KiB, for an error message. */
  get tail(): string {
    return this.#tail.toString("utf8").replace(/^�+/, "").trim();
  }

  /** Returns the events for the next bytes. */
  push(chunk: Buffer): EventBody[] {
    this.#tail = Buffer.concat([this.#tail, chunk.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES);
    const now = this.#now();
    if (now - this.#windowStart >= WINDOW_MS) {
      this.#windowStart = now;
      this.#windowBytes = 0;
    }
    const room = Math.min(WINDOW_BYTES - this.#windowBytes, ALL_BYTES - this.#allBytes);
    const kept = chunk.subarray(0, room);
    const events = kept.length === 0 ? [] : this.flush();
    for (let start = 0; start < kept.length; start += EVENT_BYTES) {
      events.push(this.#source.toEvent(new Uint8Array(kept.subarray(start, start + EVENT_BYTES))));
    }
    this.#windowBytes += kept.length;
    this.#allBytes += kept.length;
    this.#droppedBytes += chunk.length - kept.length;
    return events;
  }

  /** Returns the event for what was left out since the last one, if anything was. */
  flush(): EventBody[] {
    if (this.#droppedBytes === 0) return [];
    const value = create(OutputTruncatedSchema, { sizeBytes: BigInt(this.#droppedBytes), source: this.#source.name });
    this.#droppedBytes = 0;
    return [{ case: "outputTruncated", value }];
  }
}
