import { spawn } from "node:child_process";
import { once } from "node:events";
import { glob, mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SUITE = createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/dist/index.js");

/** A check of the protocol's conformance suite. */
export interface Check {
  /** Scenario and check: "tasks-lifecycle/sep-2663-…". */
  name: string;
  status: "SUCCESS" | "FAILURE" | "WARNING" | "INFO" | "SKIPPED";
  message: string;
}

/** Runs scenarios of the suite against a server, and returns their checks. `which`: options that choose them. */
export async function runSuite(url: string, which: readonly string[]): Promise<Check[]> {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-mcp-"));
  try {
    const args = [SUITE, "server", "--url", url, ...which, "-o", directory];
    // What it exits with knows nothing of our baseline.
    await once(spawn(process.execPath, args, { stdio: "ignore" }), "close");
    const checks: Check[] = [];
    for await (const path of glob(join(directory, "**/checks.json"))) {
      const scenario = path.slice(directory.length + 1).replace(/^server-|-\d{4}-\d\d-\d\dT.*/g, "");
      const said = JSON.parse(await readFile(path, "utf8")) as (Omit<Check, "name"> & {
        id: string;
        errorMessage?: string;
      })[];
      checks.push(
        ...said.map(({ id, status, errorMessage = "" }) => ({
          name: `${scenario}/${id}`,
          status,
          message: errorMessage,
        })),
      );
    }
    return checks;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
