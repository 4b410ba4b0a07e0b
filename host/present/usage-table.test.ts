import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { UsageSumSchema } from "../../proto/control.ts";
import { Session_State } from "../../proto/index.ts";
import { usageCsv, usageTable } from "./usage-table.ts";

const sum = (repository: string, costUsd: number) =>
  create(UsageSumSchema, {
    repository,
    state: Session_State.SUCCEEDED,
    sessionCount: 2,
    usage: { requestCount: 3, inputTokenCount: 1200n, outputTokenCount: 50n, cacheReadTokenCount: 9n, costUsd },
  });

test("a table has what usage is told apart by, and all together below", () => {
  expect(usageTable([sum("https://example.com/a", 0.5), sum("", 1)], ["repository", "outcome"])).toBe(
    `REPOSITORY             OUTCOME    SESSIONS  REQUESTS    IN  OUT  CACHED   COST
https://example.com/a  succeeded         2         3  1200   50       9  $0.50
-                      succeeded         2         3  1200   50       9  $1.00
all                                                6  2400  100      18  $1.50
`,
  );
  expect(usageTable([create(UsageSumSchema)], [])).toBe("Nothing was used of the model.\n");
});

test("names from elsewhere are plain text in the table, and neither fields nor formulas in CSV", () => {
  const hostile = sum('=cmd|"x",\u202e\u001b[2J', 1);
  expect(usageTable([hostile], ["repository"])).toContain('=cmd|"x",[2J ');
  expect(usageCsv([hostile], ["repository"])).toBe(
    "repository,sessions,requests,input_tokens,output_tokens,cache_write_tokens,cache_read_tokens,cost_usd\r\n" +
      `"'=cmd|""x"",[2J",2,3,1200,50,0,9,1\r\n`,
  );
});
