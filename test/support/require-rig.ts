import { execFileSync } from "node:child_process";

const OURS = ["container", "volume", "network"] as const;

/** Fails with advice where the engine or the image is missing, and where the suite leaves anything behind. */
export function setup(): () => void {
  const missing = (what: string) => new Error(`${what} Run the whole suite with: npm test (it sets everything up).`);
  try {
    docker("version", "--format", "{{.Server.Version}}");
  } catch (error) {
    throw missing(`No Docker engine answers: ${error instanceof Error ? error.message.split("\n")[0] : ""}`);
  }
  if (docker("image", "ls", "-q", "claudecluster/agent:latest") === "") throw missing("The agent image is missing.");
  const before = leftovers();
  return () => {
    const left = leftovers().filter((entry) => !before.includes(entry));
    if (left.length > 0) throw new Error(`The suite left behind: ${left.join(", ")}`);
  };
}

function leftovers(): string[] {
  return OURS.flatMap((kind) => {
    const all = kind === "container" ? ["--all"] : [];
    const ids = docker(kind, "ls", ...all, "-q", "--filter", "label=dev.claudecluster.session");
    return ids
      .split("\n")
      .filter((id) => id !== "")
      .map((id) => `${kind} ${id}`);
  });
}

function docker(...args: string[]): string {
  return execFileSync("docker", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
}
