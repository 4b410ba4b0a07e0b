import { AppError } from "./app-error.ts";
import { cutChars } from "./cut.ts";

/** Returns GIT_FAILED for a git command that ended badly. Its message quotes git's last line, for people only. */
export function gitFailed(
  args: readonly string[],
  { code, signal, stderr }: { code: number | undefined; signal: string | undefined; stderr: string },
): AppError {
  const ended = signal === undefined ? `exit code ${code}` : `signal ${signal}`;
  const said = lastLine(stderr);
  const message = `git ${args[0] ?? ""} failed (${ended})${said === "" ? "." : `: ${said}`}`;
  return new AppError("GIT_FAILED", message, { metadata: { command: args[0] ?? "", ended, said } });
}

/** Returns the last line of a text that is not blank, without control characters and cut to 500 characters. */
export function lastLine(text: string): string {
  const lines = text.split(/[\r\n]+/).map((line) => line.replace(/[\x00-\x1f\x7f]/g, " ").trim());
  return cutChars(lines.findLast((line) => line !== "") ?? "", 500);
}
