import { execFileSync } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { isOfAnotherRun } from "./run-mark.ts";

/** Longer than a session of the demo or of another run of the suite. */
const OTHERS_MS = 90_000;
const OURS = ["container", "volume", "network"] as const;

/** Fails with advice where the engine or the image is missing, and where the suite leaves anything behind. */
export function setup(): () => Promise<void> {
  const missing = (what: string) => new Error(`${what} Run the whole suite with: npm test (it sets everything up).`);
  try {
    docker("version", "--format", "{{.Server.Version}}");
  } catch (error) {
    throw missing(`No Docker engine answers: ${error instanceof Error ? error.message.split("\n")[0] : ""}`);
  }
  if (docker("image", "ls", "-q", "claudecluster/agent:latest") === "") throw missing("The agent image is missing.");
  const before = leftovers();
  return async () => {
    const left = () => leftovers().filter((entry) => !before.includes(entry));
    // Somebody else's session, such as the demo's, may be running on the same engine; it goes by itself.
    for (const endMs = Date.now() + OTHERS_MS; left().length > 0 && Date.now() < endMs;) await delay(500);
    if (left().length > 0) throw new Error(`The suite left behind: ${left().join(", ")}`);
  };
}

/** Not what belongs to another run that says so. */
function leftovers(): string[] {
  return OURS.flatMap((kind) => {
    const [all, id] = kind === "container" ? [["--all"], "{{.ID}}"] : [[], kind === "volume" ? "{{.Name}}" : "{{.ID}}"];
    const format = `${id} {{.Label "dev.claudecluster.host"}}`;
    const lines = docker(kind, "ls", ...all, "--format", format, "--filter", "label=dev.claudecluster.host");
    return lines
      .split("\n")
      .filter((line) => line !== "" && !isOfAnotherRun(line.split(" ")[1] ?? ""))
      .map((line) => `${kind} ${line.split(" ")[0]}`);
  });
}

function docker(...args: string[]): string {
  return execFileSync("docker", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
}
