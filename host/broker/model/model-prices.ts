import { create } from "@bufbuild/protobuf";
import { type MeteredUsage, MeteredUsageSchema } from "../../../proto/index.ts";

interface Price {
  input: number;
  output: number;
  cacheRead: number;
  /** What longer prompts cost, in tokens sent. */
  long?: { aboveTokens: number; price: Price };
}

const SONNET_3: Price = { input: 3, output: 15, cacheRead: 0.3 };
const OPUS_4: Price = { input: 15, output: 75, cacheRead: 1.5 };
const OPUS_4_5: Price = { input: 5, output: 25, cacheRead: 0.5 };
const FABLE_5: Price = { input: 10, output: 50, cacheRead: 1 };
const FABLE_5_1: Price = { ...FABLE_5, cacheRead: 0.25 };
const FABLE_5_2: Price = { input: 8, output: 40, cacheRead: 0.2 };

/**
 * List prices in USD for a million tokens, by the beginning of a model's name: the longest one counts. As in Claude
 * Code 2.1.332 and https://platform.claude.com/docs/en/about-claude/pricing
 */
const PRICES: Record<string, Price> = {
  "claude-3-haiku": { input: 0.25, output: 1.25, cacheRead: 0.03 },
  "claude-3-5-haiku": { input: 0.8, output: 4, cacheRead: 0.08 },
  "claude-haiku-4-5": { input: 1, output: 5, cacheRead: 0.1 },
  "claude-haiku-5-5": {
    input: 0.1,
    output: 0.5,
    cacheRead: 0.01,
    long: { aboveTokens: 100_000, price: { input: 0.5, output: 2.5, cacheRead: 0.05 } },
  },
  "claude-3-5-sonnet": SONNET_3,
  "claude-3-7-sonnet": SONNET_3,
  "claude-sonnet-4": SONNET_3,
  "claude-sonnet-5": { input: 2, output: 10, cacheRead: 0.2 },
  "claude-sonnet-5-5": { input: 2, output: 10, cacheRead: 0.1 },
  "claude-3-opus": OPUS_4,
  "claude-opus-4": OPUS_4,
  "claude-opus-4-5": OPUS_4_5,
  "claude-opus-4-6": OPUS_4_5,
  "claude-opus-4-7": OPUS_4_5,
  "claude-opus-4-8": OPUS_4_5,
  "claude-opus-5": OPUS_4_5,
  "claude-opus-5-5": { input: 4, output: 20, cacheRead: 0.2 },
  "claude-fable-5": FABLE_5,
  "claude-fable-5-1": FABLE_5_1,
  "claude-fable-5-2": FABLE_5_2,
  "claude-mythos-5": FABLE_5,
  "claude-mythos-5-1": FABLE_5_1,
  "claude-mythos-5-2": FABLE_5_2,
};

const DEAREST = OPUS_4;
/** Beginnings of the names of the models with a known price, the longest first. */
export const MODEL_NAMES = Object.keys(PRICES).sort((a, b) => b.length - a.length);

/** Tokens of one answer, by kind. */
export interface TokenCounts {
  /** Tokens sent, without those of the cache. */
  input: number;
  output: number;
  cacheRead: number;
  /** Tokens written to the cache for five minutes. */
  cacheWrite: number;
  /** Tokens written to the cache for an hour. */
  cacheWriteHour: number;
}

/** Returns the name by which a model's price is known. Empty: it is not. */
export function knownModel(model: string): string {
  return MODEL_NAMES.find((name) => model.startsWith(name)) ?? "";
}

/** Returns the usage of one answer, with its cost. A model without a known price costs as much as the dearest one. */
export function meter(model: string, tokens: TokenCounts): MeteredUsage {
  const { input, output, cacheRead, cacheWrite, cacheWriteHour } = tokens;
  const base = PRICES[knownModel(model)] ?? DEAREST;
  const sent = input + cacheRead + cacheWrite + cacheWriteHour;
  const price = base.long !== undefined && sent > base.long.aboveTokens ? base.long.price : base;
  // The cache's writes cost 1.25 times and twice the price of tokens sent.
  const millionths =
    (input + 1.25 * cacheWrite + 2 * cacheWriteHour) * price.input +
    output * price.output +
    cacheRead * price.cacheRead;
  return create(MeteredUsageSchema, {
    requestCount: 1,
    inputTokenCount: BigInt(input),
    outputTokenCount: BigInt(output),
    cacheWriteTokenCount: BigInt(cacheWrite + cacheWriteHour),
    cacheReadTokenCount: BigInt(cacheRead),
    costUsd: millionths / 1e6,
  });
}
