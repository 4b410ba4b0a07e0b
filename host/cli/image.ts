import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { EXIT } from "./command-io.ts";

/** Builds the agent's image, by the same script as in a clone. */
export function imageCommand(flags: Record<string, string | true>): Promise<number> {
  const args = Object.entries(flags).flatMap(([name, value]) => {
    const option = `--${name === "claudeVersion" ? "claude-version" : name}`;
    return value === true ? [option] : [`${option}=${value}`];
  });
  // From dist/host, where this is in the end.
  const script = fileURLToPath(new URL("../../docker/build-image.mjs", import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? EXIT.environment));
  });
}
