import { expect, test } from "vitest";
import { sortBetas } from "./model-betas.ts";

test("passes on what Claude Code sends, whatever its date", () => {
  const passed = [
    "claude-code-20250219",
    "context-1m-2025-08-07",
    "interleaved-thinking-2025-05-14",
    "thinking-token-count-2026-05-13",
    "context-management-2027-01-01",
    "prompt-caching-scope-2026-01-05",
    "mid-conversation-system-2026-04-07",
    "effort-2025-11-24",
    "per-turn-control-2026-07-01",
    "mid-conversation-tool-changes-2026-07-01",
    "advanced-tool-use-2025-11-20",
  ];
  expect(sortBetas(passed.join(", "), [])).toEqual({ passed, left: [] });
});

test.each([
  "code-execution-2025-08-25",
  "files-api-2025-04-14",
  "mcp-client-2025-04-04",
  "mcp-servers-2025-12-04",
  "web-fetch-2025-09-10",
  "web-search-2025-03-05",
  "advisor-tool-2026-03-01",
  "server-side-fallback-2026-07-01",
  "fast-mode-2026-02-01",
  "subagent-review-2026-11-17",
  "effort-x-2025-11-24",
  "effort-2025-11-24-x",
  "new-thing",
])("leaves out %s unless the user wants it", (beta) => {
  expect(sortBetas(`${beta},`, [])).toEqual({ passed: [], left: [beta] });
  expect(sortBetas(beta, [beta])).toEqual({ passed: [beta], left: [] });
});

test("takes what the user allows with or without its date", () => {
  expect(sortBetas("new-2026-01-01,old-2025-01-01", ["new", "old-2024-01-01"])).toEqual({
    passed: ["new-2026-01-01"],
    left: ["old-2025-01-01"],
  });
});
