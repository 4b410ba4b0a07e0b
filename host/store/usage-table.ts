import type { StatementSync } from "node:sqlite";
import { create } from "@bufbuild/protobuf";
import { type MeteredUsage, MeteredUsageSchema } from "../../proto/index.ts";
import type { UsageStore } from "./session-store.ts";
import type { StoreFile } from "./store-file.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** What was used of the model is known for this long. */
const KEPT_DAYS = 40;

const SUM = `SELECT
  COALESCE(SUM(request_count), 0) AS request_count,
  COALESCE(SUM(input_token_count), 0) AS input_token_count,
  COALESCE(SUM(output_token_count), 0) AS output_token_count,
  COALESCE(SUM(cache_write_token_count), 0) AS cache_write_token_count,
  COALESCE(SUM(cache_read_token_count), 0) AS cache_read_token_count,
  COALESCE(SUM(cost_usd), 0.0) AS cost_usd
  FROM model_usage`;

/** Table of what sessions have used of the model, in a store's file: one row for each day and session. */
export class UsageTable implements UsageStore {
  readonly #file: StoreFile;
  readonly #add: StatementSync;
  readonly #ofSession: StatementSync;
  readonly #ofDay: StatementSync;
  readonly #removeBefore: StatementSync;

  constructor(file: StoreFile) {
    const { database } = file;
    this.#file = file;
    this.#add = database.prepare(
      `INSERT INTO model_usage VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
         request_count = request_count + excluded.request_count,
         input_token_count = input_token_count + excluded.input_token_count,
         output_token_count = output_token_count + excluded.output_token_count,
         cache_write_token_count = cache_write_token_count + excluded.cache_write_token_count,
         cache_read_token_count = cache_read_token_count + excluded.cache_read_token_count,
         cost_usd = cost_usd + excluded.cost_usd`,
    );
    this.#ofSession = database.prepare(`${SUM} WHERE session_id = ?`);
    this.#ofDay = database.prepare(`${SUM} WHERE day = ?`);
    this.#removeBefore = database.prepare("DELETE FROM model_usage WHERE day < ?");
  }

  add(sessionId: string, day: string, usage: MeteredUsage): void {
    this.#file.write({ failed: `What ${sessionId} used could not be stored.` }, () => {
      this.#add.run(
        day,
        sessionId,
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

  /** Removes the usage of days that are more than 40 days ago (UTC). */
  prune({ nowMs }: { nowMs: number }): void {
    const oldestDay = new Date(nowMs - KEPT_DAYS * DAY_MS).toISOString().slice(0, 10);
    this.#file.write({ failed: "Old usage could not be removed." }, () => {
      this.#removeBefore.run(oldestDay);
    });
  }

  #sum(statement: StatementSync, key: string): MeteredUsage {
    const row = this.#file.read(() => statement.get(key)!);
    return create(MeteredUsageSchema, {
      requestCount: Number(row["request_count"]),
      inputTokenCount: BigInt(row["input_token_count"] as number),
      outputTokenCount: BigInt(row["output_token_count"] as number),
      cacheWriteTokenCount: BigInt(row["cache_write_token_count"] as number),
      cacheReadTokenCount: BigInt(row["cache_read_token_count"] as number),
      costUsd: Number(row["cost_usd"]),
    });
  }
}
