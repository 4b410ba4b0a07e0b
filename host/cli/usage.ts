import { UsageDimension } from "../../proto/control.ts";
import type { HostLink } from "../daemon/host-link.ts";
import { type UsageColumn, usageCsv, usageEntry, usageTable } from "../present/usage-table.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { printJson } from "./print-json.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

const DIMENSIONS = {
  day: UsageDimension.DAY,
  repository: UsageDimension.REPOSITORY,
  model: UsageDimension.MODEL,
  outcome: UsageDimension.STATE,
  caller: UsageDimension.CALLER,
} as const satisfies Record<UsageColumn, UsageDimension>;

/** Flags of the command, as they were given. */
export interface UsageFlags {
  since: string;
  until?: string;
  by: UsageColumn[];
  json?: boolean;
  csv?: boolean;
}

/** Prints what sessions have used of the model. Throws DAY_INVALID. */
export async function usageCommand(
  link: Pick<HostLink, "usage">,
  { since, until, by, json = false, csv = false }: UsageFlags,
  io: CommandIo,
): Promise<number> {
  const dimensions = [...new Set(by)];
  const sums = await link.usage({
    firstDay: toDay(since),
    ...(until !== undefined && { lastDay: toDay(until) }),
    dimensions: dimensions.map((name) => DIMENSIONS[name]),
  });
  if (json) {
    printJson(
      io.stdout,
      sums.map((sum) => usageEntry(sum, dimensions)),
    );
  } else io.stdout.write((csv ? usageCsv : usageTable)(sums, dimensions));
  return EXIT.done;
}

/** "7d" are the last seven days, today included. */
function toDay(given: string): string {
  const days = /^(\d{1,4})d$/.exec(given)?.[1];
  if (days === undefined) return given;
  return new Date(Date.now() - Math.max(0, Number(days) - 1) * DAY_MS).toISOString().slice(0, 10);
}
