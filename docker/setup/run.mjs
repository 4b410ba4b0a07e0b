// Child processes of the set-up: always an argument list, never a shell string.
import { execFile, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { stripVTControlCharacters } from "node:util";
import { interrupted } from "./main.mjs";
import { SetupError, say, seconds } from "./say.mjs";
import { stateDirectory } from "./state.mjs";

// Administrators' programs, which a plain root shell may not have on its path.
process.env.PATH = [process.env.PATH, "/usr/sbin", "/sbin"].filter(Boolean).join(delimiter);

const HEARTBEAT_MS = 5000;
const MAX_BUFFER = 16 * 1024 * 1024;

/**
 * Asks a short question. Never throws: a missing program is code 127, one that takes too long is code 1. An interruption
 * cuts it short, unless `signal` says otherwise (what cleans up must run then as well).
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ timeoutMs?: number, signal?: AbortSignal }} [options]
 * @returns {Promise<{ code: number, stdout: string, stderr: string }>}
 */
export function ask(command, args, { timeoutMs = 30_000, signal = interrupted } = {}) {
  return new Promise((resolve) => {
    const options = { timeout: timeoutMs, maxBuffer: MAX_BUFFER, signal };
    execFile(command, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code === "ENOENT" ? 127 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, stdout: stdout.trim(), stderr: stderr.trim() });
    });
  });
}

/**
 * Does a long piece of work. Its output goes to a log file; a line every few seconds says that it is still going.
 * Throws a SetupError with the last lines and the log's path.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ title: string, cwd?: string, env?: NodeJS.ProcessEnv, hint?: string | undefined, signal?: AbortSignal,
 *   step?: (line: string) => string | undefined }} options
 *   `step` picks, from the output, the line that the next heartbeat shows
 */
export async function work(command, args, { title, cwd, env, hint, step = () => undefined, signal }) {
  const log = join(stateDirectory(), `${title.replaceAll(/[^a-z0-9]+/gi, "-")}.log`);
  const started = Date.now();
  /** @type {string | undefined} */
  let current;
  const heartbeat = setInterval(
    () => say(`  ${title}: ${seconds(started)}${current ? `, ${current}` : ""}`),
    HEARTBEAT_MS,
  );
  const fd = openSync(log, "w", 0o600);
  try {
    const code = await finish(command, args, {
      cwd,
      env,
      signal,
      onLine: (raw) => {
        const line = stripVTControlCharacters(raw).trimEnd();
        if (line === "") return;
        writeSync(fd, `${line}\n`);
        current = step(line)?.slice(0, 70) ?? current;
      },
    });
    if (code !== 0) throw failure(title, code, log, hint);
  } finally {
    clearInterval(heartbeat);
    closeSync(fd);
  }
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd: string | undefined, env: NodeJS.ProcessEnv | undefined, signal: AbortSignal | undefined,
 *   onLine: (line: string) => void }} options
 * @returns {Promise<number | NodeJS.Signals | null>}
 */
function finish(command, args, { cwd, env, signal, onLine }) {
  interrupted.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    const stop = () => child.kill("SIGTERM");
    interrupted.addEventListener("abort", stop);
    signal?.addEventListener("abort", stop);
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on("line", onLine);
    child.on("error", (error) => {
      onLine(error.message);
      if (child.pid === undefined) resolve(127);
      else reject(error);
    });
    child.on("close", (code, name) => {
      interrupted.removeEventListener("abort", stop);
      signal?.removeEventListener("abort", stop);
      if (interrupted.aborted) reject(interrupted.reason);
      else resolve(code ?? name);
    });
  });
}

/**
 * @param {string} title
 * @param {number | NodeJS.Signals | null} code
 * @param {string} log
 * @param {string | undefined} hint
 */
function failure(title, code, log, hint) {
  const lines = readFileSync(log, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => `    ${line}`);
  // npm says what is wrong first, builders say it last.
  const shown = lines.length <= 18 ? lines : [...lines.slice(0, 6), "    [...]", ...lines.slice(-11)];
  return new SetupError(`${title} failed (${code}):\n${shown.join("\n")}\n  All of it: ${log}`, { hint });
}
