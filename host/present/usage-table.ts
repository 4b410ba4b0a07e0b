import { create } from "@bufbuild/protobuf";
import type { UsageSum } from "../../proto/control.ts";
import { dollars, MeteredUsageSchema, sumUsage } from "../../proto/index.ts";
import { oneLine } from "./plain-text.ts";
import { stateName } from "./session-summary.ts";

/** What usage is told apart by, as people name it. */
export type UsageColumn = "day" | "repository" | "model" | "outcome" | "caller";

/** Sum of usage as programs get it: what it is told apart by, and the figures. */
export type UsageEntry = Partial<Record<UsageColumn, string>> & {
  sessions: number;
  requests: number;
  input_tokens: number;
  output_tokens: number;
  cache_write_tokens: number;
  cache_read_tokens: number;
  cost_usd: number;
};

/** Returns a sum of usage with what it is told apart by first. */
export function usageEntry(sum: UsageSum, by: readonly UsageColumn[]): UsageEntry {
  const { usage } = sum;
  return {
    ...Object.fromEntries(by.map((column) => [column, valueOf(sum, column)])),
    sessions: sum.sessionCount,
    requests: usage?.requestCount ?? 0,
    input_tokens: Number(usage?.inputTokenCount ?? 0),
    output_tokens: Number(usage?.outputTokenCount ?? 0),
    cache_write_tokens: Number(usage?.cacheWriteTokenCount ?? 0),
    cache_read_tokens: Number(usage?.cacheReadTokenCount ?? 0),
    cost_usd: Math.round((usage?.costUsd ?? 0) * 1e6) / 1e6,
  };
}

function valueOf({ day, repository, model, state, caller }: UsageSum, column: UsageColumn): string {
  const value = column === "outcome" ? stateName(state) : { day, repository, model, caller }[column];
  return oneLine(value, 1000);
}

const FIGURES = ["sessions", "requests", "input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens"];

/** Returns sums of usage as CSV (RFC 4180), a line with names first. What a spreadsheet would take for a formula is text. */
export function usageCsv(sums: readonly UsageSum[], by: readonly UsageColumn[]): string {
  const names = [...by, ...FIGURES, "cost_usd"];
  const lines = sums.map((sum) => {
    const entry = usageEntry(sum, by) as Record<string, string | number>;
    return names.map((name) => csvField(entry[name] ?? ""));
  });
  return [names, ...lines].map((fields) => `${fields.join(",")}\r\n`).join("");
}

function csvField(value: string | number): string {
  const text = typeof value === "string" && /^[=+\-@]/.test(value) ? `'${value}` : String(value);
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Returns sums of usage as a table, with all together below it. */
export function usageTable(sums: readonly UsageSum[], by: readonly UsageColumn[]): string {
  const used = sums.filter(({ sessionCount }) => sessionCount > 0);
  if (used.length === 0) return "Nothing was used of the model.\n";
  const entries = used.map((sum) => usageEntry(sum, by));
  const rows = entries.map((entry) => [...by.map((column) => entry[column] || "-"), ...figures(entry)]);
  const heads = [...by.map((column) => column.toUpperCase()), "SESSIONS", "REQUESTS", "IN", "OUT", "CACHED", "COST"];
  // A session is in several rows where these are by day or model: they cannot be added up.
  const usage = used.map(({ usage }) => usage ?? create(MeteredUsageSchema)).reduce(sumUsage);
  const total = { ...usageEntry({ ...used[0]!, usage }, []), sessions: NaN };
  const last = [...by.map((_column, index) => (index === 0 ? "all" : "")), ...figures(total)];
  const lines = [heads, ...rows, ...(entries.length > 1 ? [last] : [])];
  const widths = heads.map((_head, index) => Math.max(...lines.map((line) => line[index]!.length)));
  const pad = (text: string, index: number) =>
    index < by.length ? text.padEnd(widths[index]!) : text.padStart(widths[index]!);
  return lines.map((line) => `${line.map(pad).join("  ").trimEnd()}\n`).join("");
}

function figures(entry: UsageEntry): string[] {
  const { sessions, requests, input_tokens: sent, output_tokens: received, cost_usd: cost } = entry;
  const cached = entry.cache_read_tokens + entry.cache_write_tokens;
  return [Number.isNaN(sessions) ? "" : sessions, requests, sent, received, cached].map(String).concat(dollars(cost));
}
