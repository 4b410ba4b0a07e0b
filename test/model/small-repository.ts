import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Paths and contents of the repository that the scenario `multi-file-change` is made for. */
export const SMALL_REPOSITORY: Readonly<Record<string, string>> = {
  "README.md": "# Greeter\n\nSays hello.\n",
  "src/greet.js": "export function greet(name) {\n  return `Hello, ${name}!`;\n}\n",
  "src/legacy.js": "export const old = true;\n",
};

/** Makes a directory a git repository with one commit that holds the files. */
export async function writeRepository(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content);
  }
  const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
  await git(directory, "init", "-q", "-b", "main");
  await git(directory, "add", "-A");
  await git(directory, ...identity, "commit", "-q", "--allow-empty", "-m", "Start");
}

/** Runs git without the machine's own configuration and returns what it prints. */
export async function git(directory: string, ...words: readonly string[]): Promise<string> {
  const child = spawn("git", ["-C", directory, ...words], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { PATH: process.env["PATH"], GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" },
  });
  let printed = "";
  child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString("latin1")));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`git ${words.join(" ")} failed with ${String(code)}`);
  return printed;
}
