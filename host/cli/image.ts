import { spawn } from "node:child_process";
import { BUILD_SCRIPT } from "../containers/build-image.ts";
import { EXIT } from "./command-io.ts";

/** Builds the agent's image, by the same script as in a clone, on the base image that is configured unless flags say one. */
export function imageCommand(
  { baseImage: base }: { baseImage: string | undefined },
  flags: Record<string, string | true>,
): Promise<number> {
  const given: Record<string, string | true> = { ...(base !== undefined && { base }), ...flags };
  const args = Object.entries(given).flatMap(([name, value]) => {
    const option = `--${name === "claudeVersion" ? "claude-version" : name}`;
    return value === true ? [option] : [`${option}=${value}`];
  });
  const child = spawn(process.execPath, [BUILD_SCRIPT, ...args], { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? EXIT.environment));
  });
}
