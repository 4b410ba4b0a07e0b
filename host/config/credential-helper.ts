import { execFile } from "node:child_process";
import { AppError } from "../../proto/index.ts";

/** A helper may ask a key store, or a person for a finger (ms). */
const TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 64 * 1024;

/**
 * Runs the command that prints the credential, without a shell. Throws CREDENTIAL_HELPER_FAILED, without what it
 * printed.
 */
export function runCredentialHelper(command: readonly string[]): Promise<string> {
  const [program, ...args] = command;
  const options = {
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
    maxBuffer: MAX_OUTPUT_BYTES,
    encoding: "utf8",
  } as const;
  return new Promise((resolve, reject) => {
    const child = execFile(program!, args, options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(failed(program!, error));
    });
    child.stdin?.end();
  });
}

function failed(program: string, { code, killed }: { code?: unknown; killed?: boolean }): AppError {
  const why =
    code === "ENOENT"
      ? "there is no such program"
      : code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER"
        ? "it printed too much"
        : killed === true
          ? `it took longer than ${TIMEOUT_MS / 1000} s`
          : `exit code ${String(code)}`;
  return new AppError("CREDENTIAL_HELPER_FAILED", `The credential helper ${program} failed: ${why}.`, {
    help: "Run it yourself to see what it says, or change `credential` in config.json.",
    metadata: { program },
  });
}
