import { styleText } from "node:util";

/** Stream to write to that may be a terminal. */
export type Output = NodeJS.WritableStream & { isTTY?: boolean; columns?: number };

type Style = Parameters<typeof styleText>[0];

/** Function that colours a text, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string;

/** Returns whether an output is a terminal on which lines can be redrawn. */
export function isTerminal(output: Output, env: NodeJS.ProcessEnv): boolean {
  return output.isTTY === true && env["TERM"] !== "dumb";
}

/** Returns the painter for an output. It colours only on a terminal, and not if NO_COLOR is set. */
export function painterFor(output: Output, env: NodeJS.ProcessEnv): Paint {
  const colored = isTerminal(output, env) && !env["NO_COLOR"];
  return (style, text) => (colored ? styleText(style, text, { validateStream: false }) : text);
}
