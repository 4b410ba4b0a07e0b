import type { Output } from "./terminal.ts";

/** Each line is cut at the edge by the terminal itself, so that one line stays one. */
const WRAP_OFF = "\x1b[?7l";
const WRAP_ON = "\x1b[?7h";
const ERASE_BELOW = "\x1b[0J";
const up = (count: number) => (count === 0 ? "" : `\x1b[${count}A`);

/**
 * Lines at the bottom of a terminal that are redrawn in place, while everything else scrolls by above them. Disposing
 * leaves them as they are.
 */
export class LiveLines implements Disposable {
  readonly #output: Output;
  readonly #render: () => string[];
  #timer: NodeJS.Timeout | undefined;
  #drawn = 0;

  private constructor(output: Output, render: () => string[]) {
    this.#output = output;
    this.#render = render;
  }

  /** Starts to draw. `render` returns the lines as they are now, and is called every `intervalMs`. */
  static start(output: Output, render: () => string[], { intervalMs = 120 }: { intervalMs?: number } = {}): LiveLines {
    const lines = new LiveLines(output, render);
    lines.#timer = setInterval(() => lines.draw(), intervalMs);
    lines.draw();
    return lines;
  }

  /** Writes a line above them. */
  print(line: string): void {
    this.draw(`${line}\n`);
  }

  /** Writes a text above them and draws them as they are now. */
  draw(above = ""): void {
    const lines = this.#render();
    const erase = this.#drawn === 0 ? "" : `\r${up(this.#drawn)}${ERASE_BELOW}`;
    // A line above may be as long as it likes: it wraps.
    const below = lines.length === 0 ? "" : `${WRAP_OFF}${lines.join("\n")}\n${WRAP_ON}`;
    this.#output.write(`${erase}${above}${below}`);
    this.#drawn = lines.length;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.draw();
  }
}
