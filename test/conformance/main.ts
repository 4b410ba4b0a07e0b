import { parseArgs } from "node:util";
import type { AgentSource } from "./agent-source.ts";
import { CATALOG } from "./catalog.ts";
import { type CheckResult, runConformance } from "./run.ts";
import { AddressError, sourceOf, sourceOfCommand } from "./sources.ts";
import { startWorld } from "./world.ts";

const USAGE = `Usage: npm run conformance -- [options] <address>

Holds an agent against the rules of agent/README.md, one line for each.
  unix:/path      the agent that listens there
  host:port       the same over TCP, with the token in CLAUDECLUSTER_AGENT_TOKEN
  docker:IMAGE    a new sealed container for each check that needs one

An agent takes one session in its life: one that is already running is held only against what one
session can show, and the other checks are reported as not applicable.
  --command C     runs C in a shell for each fresh agent; its first line of output is the address,
                  TERM ends it. Instead of an address
  --only WORDS    only the rules that contain these words
  --jobs N        agents at a time, where each check has its own (2)
  --list          print the rules and exit
Exit code: 0 all passed or not applicable, 1 some failed, 2 wrong usage, 3 no agent to be reached.
`;
const EXIT = { passed: 0, failed: 1, usage: 2, unreachable: 3, interrupted: 130 };
const MARKS = { passed: "ok  ", failed: "FAIL", "not applicable": "n/a " };

interface Arguments {
  readonly source: AgentSource;
  readonly only: string;
  readonly jobs: number;
}

/** Returns what is to be done, or the exit code where nothing is. */
function readArguments(): Arguments | number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      command: { type: "string" },
      only: { type: "string", default: "" },
      jobs: { type: "string", default: "2" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const { command, only } = values;
  if (values.help) return print(USAGE);
  if (values.list) return print(CATALOG.map(({ rule }) => `${rule}\n`).join(""));
  if (positionals.length !== (command === undefined ? 1 : 0)) throw new AddressError("One address is wanted.");
  const jobs = Number(values.jobs);
  if (!Number.isInteger(jobs) || jobs < 1) throw new AddressError(`"${values.jobs}" is not a number of jobs.`);
  const { CLAUDECLUSTER_AGENT_TOKEN: token } = process.env;
  const source = command === undefined ? sourceOf(positionals[0]!, { token }) : sourceOfCommand(command, { token });
  return { source, only, jobs };
}

async function run({ source, only, jobs }: Arguments): Promise<number> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort(new Error(name)));
  await using world = await startWorld();
  const checks = CATALOG.filter(({ rule }) => rule.toLowerCase().includes(only.toLowerCase()));
  const results = await runConformance({ source, world, checks, jobs, signal: stop.signal, onResult: printResult });
  const count = (outcome: CheckResult["outcome"]) => results.filter((result) => result.outcome === outcome).length;
  print(`${count("passed")} passed, ${count("failed")} failed, ${count("not applicable")} not applicable\n`);
  if (stop.signal.aborted) return EXIT.interrupted;
  return count("failed") > 0 ? EXIT.failed : EXIT.passed;
}

function printResult({ rule, outcome, detail }: CheckResult): void {
  const said = outcome === "failed" ? `\n${detail.trimEnd().replace(/^/gm, "       ")}` : detail && ` (${detail})`;
  print(`${MARKS[outcome]} ${rule}${said}\n`);
}

function print(text: string): number {
  process.stdout.write(text);
  return EXIT.passed;
}

async function main(): Promise<number> {
  try {
    const given = readArguments();
    if (typeof given === "number") return given;
    return await run(given);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const wrong = error instanceof AddressError || (error instanceof TypeError && "code" in error);
    const hint = wrong ? "More: npm run conformance -- --help" : "Does it run, and is the address right?";
    process.stderr.write(`${wrong ? message : `No agent was reached: ${message}`}\n${hint}\n`);
    return wrong ? EXIT.usage : EXIT.unreachable;
  }
}

process.exitCode = await main();
