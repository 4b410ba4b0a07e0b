import { Writable } from "node:stream";

/** A terminal that shows what a person would see: what scrolled by, and the lines that are left. */
export class Screen extends Writable {
  readonly isTTY = true;
  readonly columns = 80;
  /** Everything that was written, as it was. */
  raw = "";
  lines: string[] = [""];
  #row = 0;

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    const text = chunk.toString();
    this.raw += text;
    for (const [part] of text.matchAll(/\x1b\[(\??[0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+/g)) this.#take(part);
    callback();
  }

  #take(part: string): void {
    const up = /^\x1b\[(\d+)A$/.exec(part);
    if (up !== null) this.#row -= Number(up[1]);
    else if (part === "\x1b[0J") this.lines = [...this.lines.slice(0, this.#row), ""];
    else if (part === "\n") {
      this.#row += 1;
      this.lines[this.#row] ??= "";
    } else if (!part.startsWith("\x1b") && part !== "\r") this.lines[this.#row] += part;
  }
}

/** Something that is no terminal. */
export class Plain extends Writable {
  text = "";

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.text += chunk.toString();
    callback();
  }
}
