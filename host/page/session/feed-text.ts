/** Most characters of a stream of output in one text; what follows is another one. */
const MAX_GROWN_CHARS = 64 * 1024;

/** Text of an entry, as it came out of the container. */
export class FeedText {
  /** What it is, in our words. Empty: it is what the entry is about. */
  readonly label: string;
  text: string;
  /** Bytes of the whole text, of which this is the start; 0 where that is not known. Absent: this is all of it. */
  readonly wholeBytes: number | undefined;
  /** Whether it is not kept any more. */
  dropped = false;
  readonly #decoder = new TextDecoder();

  constructor(label: string, text: string, wholeBytes?: number) {
    this.label = label;
    this.text = text;
    this.wholeBytes = wholeBytes;
  }

  /** Adds bytes that follow, of which characters may be in two pieces. Returns whether it had room. */
  grow(data: Uint8Array): boolean {
    if (this.dropped || this.text.length + data.length > MAX_GROWN_CHARS) return false;
    this.text += this.#decoder.decode(data, { stream: true });
    return true;
  }

  /** Forgets the text. Returns how many characters that were. */
  drop(): number {
    const { length } = this.text;
    this.text = "";
    this.dropped = length > 0;
    return length;
  }
}
