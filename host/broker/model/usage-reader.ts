import { cutChars, type MeteredUsage } from "../../../proto/index.ts";
import { isMembers, type Members, parseJson } from "../json.ts";
import { meter, type TokenCounts } from "./model-prices.ts";

const NEWLINE = 10;
/** Only lines with an answer's texts are longer, and of those no more is needed than that they came. */
const MAX_LINE_BYTES = 256 * 1024;
/** An answer that is not streamed. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** Of a line that brings a piece of the answer, what is not the piece. */
const FRAME_BYTES = 100;
const BYTES_PER_TOKEN = 3;
/** No answer uses more; an endpoint that says so is not believed. */
const MAX_TOKENS = 100_000_000;
const MAX_FAILURE_LENGTH = 64;

/**
 * Reader of the usage in an answer of the model while it passes: server-sent events
 * (https://platform.claude.com/docs/en/build-with-claude/streaming), or one JSON body. A stream that breaks off before
 * it tells its usage counts by the size of what came.
 */
export class UsageReader {
  readonly #streamed: boolean;
  readonly #unread: MeteredUsage;
  #model: string;
  #counts: TokenCounts = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, cacheWriteHour: 0 };
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #estimatedOutput = 0;
  #complete = false;
  #progress: "nothing" | "usage" | "failed" = "nothing";
  #failure: string | undefined;

  /** Starts with no bytes. `unread` is the usage of an answer that tells neither its usage nor that it failed. */
  constructor(requestedModel: string, { streamed, unread }: { streamed: boolean; unread: MeteredUsage }) {
    this.#model = requestedModel;
    this.#streamed = streamed;
    this.#unread = unread;
  }

  /** Looks at the next piece. No reference to it is kept beyond its line. */
  push(chunk: Buffer): void {
    let from = 0;
    if (this.#streamed) {
      for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
        this.#keep(chunk.subarray(from, end));
        this.#readLine();
        from = end + 1;
      }
    }
    this.#keep(chunk.subarray(from));
  }

  /** Usage of the answer, as far as it has come. */
  usage(): MeteredUsage {
    if (!this.#streamed) this.#readBody();
    if (this.#progress === "nothing") {
      if (!this.#streamed || this.#estimatedOutput === 0) return this.#unread;
      this.#counts.input = Number(this.#unread.inputTokenCount);
    }
    const output = this.#complete ? this.#counts.output : Math.max(this.#counts.output, this.#estimatedOutput);
    return meter(this.#model, { ...this.#counts, output });
  }

  /** Model that answers, as the answer names it; until then the one that was asked. */
  get model(): string {
    return this.#model;
  }

  /** Kind of the error that ended a stream which had begun well ("overloaded_error"). Undefined: none did. */
  get failure(): string | undefined {
    return this.#streamed ? this.#failure : undefined;
  }

  #keep(part: Buffer): void {
    this.#pendingBytes += part.length;
    if (this.#pendingBytes <= (this.#streamed ? MAX_LINE_BYTES : MAX_BODY_BYTES)) this.#pending.push(part);
    else this.#pending = [];
  }

  #take(): string {
    const text = Buffer.concat(this.#pending).toString();
    this.#pending = [];
    this.#pendingBytes = 0;
    return text;
  }

  #readLine(): void {
    const bytes = this.#pendingBytes;
    const line = this.#take();
    if (line.startsWith("data:") && /"(?:usage|error)"/.test(line)) this.#readMessage(line.slice(5));
    else if (bytes > FRAME_BYTES || line.includes("content_block_delta")) {
      this.#estimatedOutput += Math.max(1, Math.ceil((bytes - FRAME_BYTES) / BYTES_PER_TOKEN));
    }
  }

  #readBody(): void {
    if (this.#pendingBytes > 0) this.#readMessage(this.#take());
  }

  /** A message_start event, a message_delta event, the message itself, or an error instead of any of them. */
  #readMessage(json: string): void {
    const value = membersOf(parseJson(json)) ?? {};
    if (value["type"] === "error") {
      this.#failure ??= cutChars(String(membersOf(value["error"])?.["type"] ?? "error"), MAX_FAILURE_LENGTH);
      if (this.#progress === "nothing") this.#progress = "failed";
    }
    const message = membersOf(value["message"]) ?? value;
    const usage = membersOf(message["usage"]);
    if (usage === undefined) return;
    this.#progress = "usage";
    if (typeof message["model"] === "string") this.#model = message["model"];
    if (value["type"] !== "message_start") this.#complete = true;
    const hour = countOf(membersOf(usage["cache_creation"])?.["ephemeral_1h_input_tokens"]);
    const written = countOf(usage["cache_creation_input_tokens"]);
    const counts = this.#counts;
    counts.input = countOf(usage["input_tokens"]) ?? counts.input;
    counts.output = countOf(usage["output_tokens"]) ?? counts.output;
    counts.cacheRead = countOf(usage["cache_read_input_tokens"]) ?? counts.cacheRead;
    if (hour !== undefined) counts.cacheWriteHour = hour;
    if (written !== undefined) counts.cacheWrite = Math.max(0, written - counts.cacheWriteHour);
  }
}

/** Returns the most that a request may use if any of the models may answer, with as much as it is allowed. */
export function worstUsage(
  models: readonly string[],
  { bodyBytes, maxTokens }: { bodyBytes: number; maxTokens: number },
): MeteredUsage {
  const input = Math.ceil(bodyBytes / BYTES_PER_TOKEN);
  const counts = { input, output: maxTokens, cacheRead: 0, cacheWrite: 0, cacheWriteHour: 0 };
  return models
    .map((model) => meter(model, counts))
    .reduce((first, other) => (other.costUsd > first.costUsd ? other : first));
}

function membersOf(value: unknown): Members | undefined {
  return isMembers(value) ? value : undefined;
}

function countOf(value: unknown): number | undefined {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_TOKENS
    ? (value as number)
    : undefined;
}
