import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type CommandIo, EXIT } from "./command-io.ts";

/** The demo, beside the bundles of this program: it has the scripted model, which nothing else needs. */
const DEMO = fileURLToPath(new URL("demo.mjs", import.meta.url));

/** Runs the demo: one session with a host of its own. Returns the exit code of its `run`. The signal ends it in order. */
export function demoCommand({ signal }: Pick<CommandIo, "signal">): Promise<number> {
  const child = spawn(process.execPath, [DEMO, process.argv[1]!], { stdio: "inherit" });
  signal.addEventListener("abort", () => {
    // Ctrl-C reaches it from the terminal.
    if ((signal.reason as Error).message !== "SIGINT") child.kill("SIGTERM");
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? EXIT.environment));
  });
}
