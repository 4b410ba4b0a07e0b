import { styleText } from "node:util";

/** Something to write to that may be a terminal. */
export type Output = NodeJS.WritableStream & { isTTY?: boolean; columns?: number };

type Style = Parameters<typeof styleText>[0];

/** Text with colour, or without. */
export type Paint = (style: Style, text: string) => string;

/** The output is a terminal that lines can be redrawn on. */
export function isTerminal(output: Output, env: NodeJS.ProcessEnv): boolean {
  return output.isTTY === true && env["TERM"] !== "dumb";
}

/** Returns what paints texts for an output: only on a terminal, and not where NO_COLOR is set. */
export function painterFor(output: Output, env: NodeJS.ProcessEnv): Paint {
  const colored = isTerminal(output, env) && !env["NO_COLOR"];
  return (style, text) => (colored ? styleText(style, text, { validateStream: false }) : text);
}
