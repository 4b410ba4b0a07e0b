import { type Logger, pino } from "pino";

/** Creates a logger. Default destination: standard error, since standard output belongs to answers and to MCP. */
export function createLogger(level: string, destination?: { write(line: string): void }): Logger {
  return pino({ name: "claudecluster", level }, destination ?? pino.destination({ fd: 2, sync: true }));
}
