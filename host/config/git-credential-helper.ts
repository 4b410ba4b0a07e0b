import { execFile } from "node:child_process";
import type { GitCredential } from "../broker/git/git-credential.ts";

/** A helper may ask a key store, or a person for a finger (ms). */
const TIMEOUT_MS = 60_000;

/** Function that asks git on the host about the user's credential helpers. */
export type AskGit = (action: "fill" | "approve" | "reject", input: string) => Promise<string>;

/**
 * Runs `git credential` where no repository's configuration counts and nobody is asked for a password. Rejects if git
 * has no credential, or is missing. https://git-scm.com/docs/git-credential
 */
export const runGitCredential: AskGit = (action, input) => {
  const { SSH_ASKPASS: _, GIT_DIR: _dir, GIT_CONFIG_COUNT: _count, ...inherited } = process.env;
  const env = { ...inherited, GIT_TERMINAL_PROMPT: "0", GIT_ASKPASS: "", GCM_INTERACTIVE: "never" };
  const options = { cwd: "/", env, timeout: TIMEOUT_MS, maxBuffer: 64 * 1024, encoding: "utf8" } as const;
  return new Promise((resolve, reject) => {
    const child = execFile("git", ["-c", "core.askPass=", "credential", action], options, (error, stdout) => {
      if (error === null) resolve(stdout);
      // Its message holds what was printed.
      else reject(new Error(`git credential ${action} failed (${String(error.code)})`));
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
};

/** Returns what git has to know of a repository. Undefined: git could read the URL in another way. */
export function describeRepository({ protocol, host, pathname }: URL, credential?: GitCredential): string | undefined {
  let path: string;
  try {
    path = decodeURIComponent(pathname).replace(/^\//, "");
  } catch {
    return undefined;
  }
  const entries = Object.entries({ protocol: protocol.slice(0, -1), host, path, ...credential });
  if (entries.some(([, value]) => /[\n\r\0]/.test(value))) return undefined;
  return `${entries.map(([name, value]) => `${name}=${value}`).join("\n")}\n\n`;
}

/** Returns the fields of git's answer. */
export function readAnswer(answer: string): GitCredential | undefined {
  const found = Object.fromEntries(
    answer.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  ) as Partial<Record<string, string>>;
  const { username, password } = found;
  return username === undefined || password === undefined ? undefined : { username, password };
}
