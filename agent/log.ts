import { writeSync } from "node:fs";

const LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: 100 } as const;
type Level = Exclude<keyof typeof LEVELS, "silent">;

/** A line for whoever runs the agent: what belongs to it, then what happened. */
type Log = (fields: object, message: string) => void;

/** Part of a logger that the agent needs. pino has it too. */
export interface Logger {
  debug: Log;
  info: Log;
  warn: Log;
  error: Log;
  fatal: Log;
  child(fields: Record<string, unknown>): Logger;
}

/**
 * Returns a logger that writes pino's format to standard error, one JSON object a line. It writes at once: the last
 * lines must be out before the process is gone. pino itself is not used, since loading it takes a tenth of the agent's
 * start.
 */
export function createLogger(level: string, fields: Record<string, unknown> = {}): Logger {
  const least = LEVELS[level as keyof typeof LEVELS] ?? LEVELS.info;
  const at =
    (name: Level): Log =>
    (more, message) => {
      if (LEVELS[name] < least) return;
      const line = { level: LEVELS[name], time: Date.now(), ...fields, ...plain(more), msg: message };
      write(`${JSON.stringify(line)}\n`);
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    fatal: at("fatal"),
    child: (more) => createLogger(level, { ...fields, ...more }),
  };
}

/** Errors have no enumerable properties of their own. */
function plain(fields: object): object {
  const entries = Object.entries(fields).map(([name, value]: [string, unknown]) => [
    name,
    value instanceof Error ? { type: value.name, message: value.message, stack: value.stack } : value,
  ]);
  return Object.fromEntries(entries) as object;
}

function write(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // Nobody reads: a full or closed pipe must not end the session.
  }
}
