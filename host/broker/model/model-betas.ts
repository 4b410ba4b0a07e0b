/**
 * Betas that are passed on, without their dates: those that Claude Code 2.1.332 knows and that only change how the model
 * answers, or what its requests may look like. Others are left out, above all what has the API itself fetch, run, store or
 * connect (code execution, files, MCP, web search and fetch, the advisor), answer with another model (server-side
 * fallback) or at another price (fast mode).
 */
const BETAS: ReadonlySet<string> = new Set([
  "advanced-tool-use",
  "afk-mode",
  "auto-mode-classifier",
  "cache-diagnosis",
  "cache-keepalive",
  "claude-code",
  "claude-code-side-query",
  "context-1m",
  "context-hint",
  "context-management",
  "dangerous-tool-use",
  "effort",
  "extended-cache-ttl",
  "fine-grained-tool-streaming",
  "inline-tools",
  "interleaved-thinking",
  "mid-conversation-system",
  "mid-conversation-system-clear-at",
  "mid-conversation-tool-changes",
  "per-turn-control",
  "prompt-caching",
  "prompt-caching-evict",
  "prompt-caching-scope",
  "redact-thinking",
  "resumption",
  "structured-outputs",
  "task-budgets",
  "thinking-binding-controls",
  "thinking-display-updates",
  "thinking-resumption",
  "thinking-token-count",
  "timing",
  "token-counting",
  "tool-search-tool",
]);

const DATE = /-20\d{2}-?\d{2}-?\d{2}$/;

/** Sorts the betas of a header into those that are passed on, and the others. The user's may have a date or not. */
export function sortBetas(header: string, users: readonly string[]): { passed: string[]; left: string[] } {
  const betas = header.split(",").map((beta) => beta.trim());
  const isPassed = (beta: string) => {
    const name = beta.replace(DATE, "");
    return BETAS.has(name) || users.includes(name) || users.includes(beta);
  };
  const { passed = [], left = [] } = Object.groupBy(
    betas.filter((beta) => beta !== ""),
    (beta) => (isPassed(beta) ? "passed" : "left"),
  );
  return { passed, left };
}
