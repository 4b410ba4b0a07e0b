import { AgentService, type GetAgentInfoResponse } from "../../proto/index.ts";
import type { AgentSource, RunningAgent } from "./agent-source.ts";
import { Bench } from "./bench.ts";
import type { Check } from "./check.ts";
import { runTour, type Tour } from "./tour.ts";
import type { World } from "./world.ts";

/** What became of a check. */
export interface CheckResult {
  readonly rule: string;
  readonly outcome: "passed" | "failed" | "not applicable";
  /** What is wrong, or why it could not be run. Empty where it passed. */
  readonly detail: string;
}

export interface ConformanceOptions {
  readonly source: AgentSource;
  readonly world: World;
  readonly checks: readonly Check[];
  /** How many agents run at a time, where each check has its own. */
  readonly jobs: number;
  /** Ends the run; what is not done then has failed. */
  readonly signal?: AbortSignal;
  /** Told of each result as it comes. */
  onResult?(result: CheckResult): void;
}

/** The longest session of a check takes ten seconds on a quiet machine. */
const CHECK_MS = 120_000;

/** Holds an agent against the checks. Rejects if the first agent cannot be reached at all. */
export async function runConformance(options: ConformanceOptions): Promise<CheckResult[]> {
  const { source, world, checks, onResult, signal } = options;
  const results: CheckResult[] = [];
  const report = (check: Check, outcome: CheckResult["outcome"], detail = "") => {
    const result = { rule: check.rule, outcome, detail };
    results.push(result);
    onResult?.(result);
  };
  const attempt = async (check: Check, body: () => Promise<void>) => {
    try {
      await body();
      report(check, "passed");
    } catch (error) {
      report(check, "failed", error instanceof Error ? error.message : String(error));
    }
  };

  const shared = await runShared();
  const own = shared.filter((check) => check.needs === "own");
  await Promise.all(Array.from({ length: options.jobs }, () => runOwn(own)));
  return results;

  /** Runs what needs no agent of its own; returns the other checks that are applicable. */
  async function runShared(): Promise<Check[]> {
    await using agent = await source.start();
    await using bench = await Bench.open(agent, world);
    const info = await bench.client.call(AgentService.method.getAgentInfo);
    const applicable = checks.filter((check) => {
      const why = whyNot(check, { info, source, token: agent.token });
      if (why !== undefined) report(check, "not applicable", why);
      return why === undefined;
    });
    for (const needs of ["any", "unused"] as const) {
      for (const check of applicable) {
        if (check.needs === needs) await attempt(check, () => onBench(agent, (each) => check.run(each)));
      }
    }
    const finished = applicable.filter((check) => check.needs === "finished");
    if (finished.length > 0) {
      // One failure of the tour is the failure of each of them.
      const tour = inTime(runTour(bench), signal).then(
        (value): { tour: Tour } => ({ tour: value }),
        (error: unknown) => ({ error }),
      );
      for (const check of finished) {
        await attempt(check, async () => {
          const outcome = await tour;
          if ("error" in outcome) throw outcome.error;
          await inTime(check.run(bench, outcome.tour), signal);
        });
      }
    }
    return applicable;
  }

  async function onBench(agent: RunningAgent, run: (bench: Bench) => Promise<void>) {
    await using bench = await Bench.open(agent, world);
    await inTime(run(bench), signal);
  }

  async function runOwn(waiting: Check[]): Promise<void> {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      const { needs, run } = check;
      if (needs !== "own") continue;
      await attempt(check, async () => {
        await using stack = new AsyncDisposableStack();
        const another = async () => stack.use(await Bench.open(stack.use(await source.start()), world));
        const bench = await another();
        await inTime(run(bench, another), signal);
      });
    }
  }
}

function whyNot(
  check: Check,
  { info, source, token }: { info: GetAgentInfoResponse; source: AgentSource; token: string | undefined },
): string | undefined {
  const { capability, needs } = check;
  if (capability !== undefined && !info.capabilities.includes(capability)) {
    return `the agent does not announce ${capability}`;
  }
  if (check.token && token === undefined) return "this way in needs no token";
  if (needs === "own" && !source.fresh) return "needs an agent of its own: use docker:IMAGE or --command";
  if (needs !== "any" && !source.fresh && info.sessionId !== "") return "the agent has a session already";
  return undefined;
}

/** Rejects when the work takes too long, or with the signal's reason. */
async function inTime<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const { promise: never, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`it was not done after ${CHECK_MS / 1000} s`)), CHECK_MS);
  const abort = () => reject(signal?.reason as Error);
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted === true) abort();
  try {
    return await Promise.race([work, never]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
