// Runs every probe where it is started and prints what became of them. Standard input's first line holds the two
// halves of the secret word, as JSON.
import { FILE_PROBES } from "./files.ts";
import { NETWORK_PROBES } from "./network.ts";
import type { Findings } from "./probe.ts";
import { PROCESS_PROBES } from "./processes.ts";
import { secretProbes } from "./secrets.ts";
import { systemCallProbes } from "./system-calls.ts";

const halves = JSON.parse(process.argv[2] ?? '["",""]') as [string, string];
const findings: Findings = { open: [], blocked: [] };
for (const { name, attempt } of [
  ...systemCallProbes(),
  ...FILE_PROBES,
  ...NETWORK_PROBES,
  ...secretProbes(halves),
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
