import { create } from "@bufbuild/protobuf";
import {
  cutResult,
  type FileChange,
  type SessionResult,
  SessionResultSchema,
  type SkippedFilter,
  WHOLE_RESULT,
} from "../../proto/index.ts";

export interface ResultOptions {
  outcome: SessionResult["outcome"];
  finalText: string;
  changes: readonly FileChange[];
  unreadablePaths: readonly string[];
  unconvertedPaths: readonly string[];
  skippedFilters: readonly SkippedFilter[];
  patch: Uint8Array;
}

type RestOfResult = Omit<Partial<SessionResult>, "$typeName" | "$unknown" | keyof ResultOptions>;

/** Returns the result as GetSession holds it: whole, as far as it stays below gRPC's usual 4 MiB. */
export function wholeResult({ patch, ...options }: ResultOptions, rest: RestOfResult): SessionResult {
  const result = create(SessionResultSchema, {
    ...rest,
    ...options,
    changes: [...options.changes],
    changeCount: options.changes.length,
    unreadablePaths: [...options.unreadablePaths],
    unconvertedPaths: [...options.unconvertedPaths],
    skippedFilters: [...options.skippedFilters],
    patchSizeBytes: BigInt(patch.length),
  });
  return cutResult(result, WHOLE_RESULT);
}
