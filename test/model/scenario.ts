import type { ToolCall } from "./conversation.ts";
import { MarkerError, type Marker } from "./marker.ts";

export type Block =
  | { readonly type: "thinking"; readonly text: string }
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "tool_use"; readonly name: string; readonly input: unknown };

export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheCreationTokens: number;
}

/** How a request goes wrong. Positions count the events of the reply that would have been sent. */
export type Failure =
  | {
      readonly kind: "http";
      readonly status: number;
      readonly type: string;
      readonly message: string;
      readonly retryAfterSeconds?: number;
    }
  /** An `error` event in the middle of the stream. */
  | { readonly kind: "stream-error"; readonly afterEvents: number; readonly type: string; readonly message: string }
  /** The connection is cut in the middle of the stream. */
  | { readonly kind: "drop"; readonly afterEvents: number }
  /** The connection is cut before any answer. */
  | { readonly kind: "reset" }
  /** Silence: before the headers, or after some events when `afterEvents` is given. */
  | { readonly kind: "hang"; readonly afterEvents?: number };

/** One answer of the model: one assistant message. */
export interface Step {
  readonly blocks: readonly Block[];
  /** Wait before the answer begins. */
  readonly delayMs?: number;
  /** Wait between two chunks of text. */
  readonly chunkDelayMs?: number;
  /** Characters per chunk; by default small for small blocks, at most 400 chunks for large ones. */
  readonly chunkCharacters?: number;
  /** Default: `tool_use` when the step calls a tool, else `end_turn`. */
  readonly stopReason?: string;
  readonly usage?: Partial<Usage>;
  /** Happens in place of the answer, `times` times for each conversation (default: always). */
  readonly failure?: Failure & { readonly times?: number };
}

/** Where the conversation stands, as the request itself tells. */
export interface Turn {
  /** What the person wrote to begin this turn. */
  readonly text: string;
  readonly workingDirectory: string | undefined;
  /** Tools the model may call right now (those that are not deferred). */
  readonly tools: readonly string[];
  /** The model's tool calls since the turn began, with their results. */
  readonly calls: readonly ToolCall[];
  /** Results of all tool calls of the conversation, also of earlier turns. */
  readonly earlierResults: readonly string[];
  readonly json: unknown;
}

/** A named script. Plans must be pure: the same turn gives the same steps, since each request plans anew. */
export interface Scenario {
  readonly name: string;
  readonly summary: string;
  readonly parameters: Readonly<Record<string, string | number>>;
  plan(marker: Marker | undefined, turn: Turn): readonly Step[];
}

type Widened<P> = { readonly [Key in keyof P]: P[Key] extends number ? number : string };

interface Definition<P> {
  readonly name: string;
  readonly summary: string;
  /** Names and defaults; the type of the default is the type of the parameter. */
  readonly parameters?: P;
  readonly steps: (parameters: Widened<P>, turn: Turn) => readonly Step[];
}

/** Parameters that every scenario takes: pace and price of each step that does not set its own. */
export const COMMON_PARAMETERS = { "delay-ms": 0, "chunk-ms": 0, "input-tokens": 0, "output-tokens": 0 };

export function defineScenario<P extends Readonly<Record<string, string | number>> = Record<never, never>>(
  definition: Definition<P>,
): Scenario {
  const { name, summary, steps } = definition;
  const defaults: Readonly<Record<string, string | number>> = definition.parameters ?? {};
  return {
    name,
    summary,
    parameters: defaults,
    plan(marker, turn) {
      const given = marker?.parameters ?? new Map<string, string>();
      const unknown = [...given.keys()].find((key) => !(key in defaults) && !(key in COMMON_PARAMETERS));
      if (unknown !== undefined) {
        throw new MarkerError(
          `Scenario "${name}" has no parameter "${unknown}". It takes: ${[...Object.keys(defaults), ...Object.keys(COMMON_PARAMETERS)].join(", ")}.`,
        );
      }
      const common = readParameters(COMMON_PARAMETERS, given, name);
      return steps(readParameters(defaults, given, name) as Widened<P>, turn).map((step) => ({
        ...commonFields(common),
        ...step,
      }));
    },
  };
}

function readParameters<P extends Readonly<Record<string, string | number>>>(
  defaults: P,
  given: ReadonlyMap<string, string>,
  scenario: string,
): Widened<P> {
  const entries = Object.entries(defaults).map(([key, fallback]) => {
    const value = given.get(key);
    if (value === undefined || typeof fallback === "string") return [key, value ?? fallback];
    const number = Number(value);
    if (value === "" || !Number.isFinite(number) || number < 0) {
      throw new MarkerError(`Parameter "${key}" of scenario "${scenario}" is "${value}", not a number of at least 0.`);
    }
    return [key, number];
  });
  return Object.fromEntries(entries) as Widened<P>;
}

function commonFields(common: Widened<typeof COMMON_PARAMETERS>): Partial<Step> {
  return {
    ...(common["delay-ms"] > 0 && { delayMs: common["delay-ms"] }),
    ...(common["chunk-ms"] > 0 && { chunkDelayMs: common["chunk-ms"] }),
    usage: {
      ...(common["input-tokens"] > 0 && { inputTokens: common["input-tokens"] }),
      ...(common["output-tokens"] > 0 && { outputTokens: common["output-tokens"] }),
    },
  };
}

/** A step that only says something. */
export function say(text: string): Step {
  return { blocks: [{ type: "text", text }] };
}

/** A step that says something and calls tools. */
export function call(text: string, ...tools: readonly (readonly [name: string, input: unknown])[]): Step {
  return {
    blocks: [{ type: "text", text }, ...tools.map(([name, input]) => ({ type: "tool_use", name, input }) as const)],
  };
}

/** The input of the Bash tool. The description is what Claude Code shows of it. */
export function bash(command: string, description: string): readonly [string, unknown] {
  return ["Bash", { command, description }];
}

/** An absolute path in the working directory, as real models write them; relative when the directory is not known. */
export function pathIn(turn: Turn, path: string): string {
  return turn.workingDirectory === undefined ? path : `${turn.workingDirectory.replace(/\/$/, "")}/${path}`;
}

/** `text` as one word of a shell command. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
