import type { StatementSync } from "node:sqlite";
import { create } from "@bufbuild/protobuf";
import { UsageDimension, type UsageSum, UsageSumSchema } from "../../proto/control.ts";
import { type MeteredUsage, MeteredUsageSchema } from "../../proto/index.ts";
import type { UsageFilter, UsageStore } from "./session-store.ts";
import type { StoreFile } from "./store-file.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** What was used of the model is known for this long: the same month of the year before can be looked at. */
const KEPT_DAYS = 400;

const SUM = `
  COALESCE(SUM(request_count), 0) AS request_count,
  COALESCE(SUM(input_token_count), 0) AS input_token_count,
  COALESCE(SUM(output_token_count), 0) AS output_token_count,
  COALESCE(SUM(cache_write_token_count), 0) AS cache_write_token_count,
  COALESCE(SUM(cache_read_token_count), 0) AS cache_read_token_count,
  COALESCE(SUM(cost_usd), 0.0) AS cost_usd
  FROM model_usage`;

/** What a report can be by, and in which column. A session that was removed is in `past_session`. */
const COLUMNS = [
  [UsageDimension.DAY, "day", "day"],
  [UsageDimension.REPOSITORY, "repository", "COALESCE(session.repository, past_session.repository, '')"],
  [UsageDimension.MODEL, "model", "model"],
  [UsageDimension.STATE, "state", "COALESCE(session.state, past_session.state, 0)"],
  [UsageDimension.CALLER, "caller", "COALESCE(session.caller, past_session.caller, '')"],
] as const;

/** Table of what sessions have used of the model, in a store's file: one row for each day, session and model. */
export class UsageTable implements UsageStore {
  readonly #file: StoreFile;
  readonly #add: StatementSync;
  readonly #ofSession: StatementSync;
  readonly #ofDay: StatementSync;
  readonly #removeBefore: StatementSync;
  readonly #removePast: StatementSync;

  constructor(file: StoreFile) {
    const { database } = file;
    this.#file = file;
    this.#add = database.prepare(
      `INSERT INTO model_usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
         request_count = request_count + excluded.request_count,
         input_token_count = input_token_count + excluded.input_token_count,
         output_token_count = output_token_count + excluded.output_token_count,
         cache_write_token_count = cache_write_token_count + excluded.cache_write_token_count,
         cache_read_token_count = cache_read_token_count + excluded.cache_read_token_count,
         cost_usd = cost_usd + excluded.cost_usd`,
    );
    this.#ofSession = database.prepare(`SELECT ${SUM} WHERE session_id = ?`);
    this.#ofDay = database.prepare(`SELECT ${SUM} WHERE day = ?`);
    this.#removeBefore = database.prepare("DELETE FROM model_usage WHERE day < ?");
    this.#removePast = database.prepare(
      "DELETE FROM past_session WHERE NOT EXISTS (SELECT 1 FROM model_usage WHERE session_id = past_session.id)",
    );
  }

  add(sessionId: string, day: string, usage: MeteredUsage, model = ""): void {
    this.#file.write({ failed: `What ${sessionId} used could not be stored.` }, () => {
      this.#add.run(
        day,
        sessionId,
        model,
        usage.requestCount,
        usage.inputTokenCount,
        usage.outputTokenCount,
        usage.cacheWriteTokenCount,
        usage.cacheReadTokenCount,
        usage.costUsd,
      );
    });
  }

  ofSession(sessionId: string): MeteredUsage {
    return this.#sum(this.#ofSession, sessionId);
  }

  ofDay(day: string): MeteredUsage {
    return this.#sum(this.#ofDay, day);
  }

  report({ by, firstDay = "", lastDay = "9999" }: UsageFilter): UsageSum[] {
    const chosen = by.flatMap((wanted) => COLUMNS.filter(([dimension]) => dimension === wanted));
    const names = chosen.map(([, name]) => name).join(", ");
    const sql = `SELECT ${chosen.map(([, name, column]) => `${column} AS ${name}, `).join("")}
      COUNT(DISTINCT session_id) AS session_count, ${SUM}
      LEFT JOIN session ON session.id = session_id LEFT JOIN past_session ON past_session.id = session_id
      WHERE day BETWEEN ? AND ?
      ${names === "" ? "" : `GROUP BY ${chosen.map(([, , column]) => column).join(", ")} ORDER BY ${names}`}`;
    const rows = this.#file.read(() => this.#file.database.prepare(sql).all(firstDay, lastDay));
    return rows.map(({ session_count: sessionCount, ...row }) => {
      const told = Object.fromEntries(chosen.map(([, name]) => [name, row[name]]));
      return create(UsageSumSchema, { ...told, sessionCount: Number(sessionCount), usage: toUsage(row) });
    });
  }

  /** Removes the usage of days that are more than 400 days ago (UTC). */
  prune({ nowMs }: { nowMs: number }): void {
    const oldestDay = new Date(nowMs - KEPT_DAYS * DAY_MS).toISOString().slice(0, 10);
    this.#file.write({ failed: "Old usage could not be removed." }, () => {
      this.#removeBefore.run(oldestDay);
      this.#removePast.run();
    });
  }

  #sum(statement: StatementSync, key: string): MeteredUsage {
    return toUsage(this.#file.read(() => statement.get(key)!));
  }
}

function toUsage(row: Record<string, unknown>): MeteredUsage {
  return create(MeteredUsageSchema, {
    requestCount: Number(row["request_count"]),
    inputTokenCount: BigInt(row["input_token_count"] as number),
    outputTokenCount: BigInt(row["output_token_count"] as number),
    cacheWriteTokenCount: BigInt(row["cache_write_token_count"] as number),
    cacheReadTokenCount: BigInt(row["cache_read_token_count"] as number),
    costUsd: Number(row["cost_usd"]),
  });
}
