import { startClaude } from "../model/claude-cli.ts";
import type { Rig } from "../support/rig.ts";

export const SHORT_TASK = "[scenario: small-edit]";

/** What one session took, in ms, by the caller's clock. */
export interface SessionTimes {
  /** Tool call to the agent's first answer. */
  toAgent: number;
  /** Tool call to Claude's first model request. */
  toFirstRequest: number;
  /** First model request to the end of the last turn. */
  work: number;
  /** Tool call to its result. */
  whole: number;
  /** Phase by phase, as the session itself reports. */
  phases: Record<string, number>;
}

/** Runs one scripted session through the real server. */
export async function measureSession(rig: Rig, task: string): Promise<SessionTimes> {
  const startMs = performance.now();
  const at = new Map<string, number>();
  const { summary, isError, text } = await rig.mcp.spawn(
    { task, repository: rig.repository, timeout_seconds: 600 },
    {
      onProgress: (line) => {
        const text = line.replace(/^…\w+[^:]*: /, "");
        at.set(text, at.get(text) ?? performance.now() - startMs);
      },
    },
  );
  const whole = performance.now() - startMs;
  if (isError || summary === undefined) throw new Error(`The session failed: ${text}`);
  const moment = (line: string) => at.get(line) ?? NaN;
  return {
    toAgent: moment("the agent answers"),
    toFirstRequest: moment("Claude is working"),
    work: moment("collecting the changes") - moment("Claude is working"),
    whole,
    phases: Object.fromEntries(summary.phases.map(({ phase, seconds }) => [phase, seconds * 1000])),
  };
}

/** The same of Claude Code alone, from its start. */
export type BareTimes = Pick<SessionTimes, "toFirstRequest" | "work" | "whole">;

/** Runs the same task with the same Claude Code on this machine, without a container. */
export async function measureBareClaude(rig: Rig, task: string): Promise<BareTimes> {
  const startMs = performance.now();
  const start = Date.now();
  await using claude = await startClaude({ url: rig.model.url, key: rig.key });
  claude.send(task);
  const result = await claude.result();
  const whole = performance.now() - startMs;
  if (result["is_error"] === true) throw new Error(`Claude failed: ${JSON.stringify(result)}`);
  const first = rig.model.requests.find(({ receivedAt }) => receivedAt.getTime() >= start);
  if (first === undefined) throw new Error("Claude sent no request.");
  const toFirstRequest = first.receivedAt.getTime() - start;
  return { toFirstRequest, work: whole - toFirstRequest, whole };
}
