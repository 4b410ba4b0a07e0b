// Runs every probe where it is started and prints what became of them. The argument holds the targets, as JSON.
import { FILE_PROBES } from "./files.ts";
import { gateProbes } from "./gates.ts";
import { networkProbes } from "./network.ts";
import type { Findings } from "./probe.ts";
import { PROCESS_PROBES } from "./processes.ts";
import { secretProbes } from "./secrets.ts";
import { systemCallProbes } from "./system-calls.ts";
import type { Targets } from "./targets.ts";

const targets = JSON.parse(process.argv[2]!) as Targets;
const findings: Findings = { open: [], blocked: [] };
for (const { name, attempt } of [
  ...systemCallProbes(),
  ...FILE_PROBES,
  ...networkProbes(targets),
  ...gateProbes(targets),
  ...secretProbes(targets),
  ...PROCESS_PROBES,
]) {
  let worked = false;
  try {
    worked = await attempt();
  } catch {
    // As good as not working.
  }
  findings[worked ? "open" : "blocked"].push(name);
}
process.stdout.write(`${JSON.stringify(findings)}\n`);
