import type { ServerLog } from "../mcp/server-log.ts";

/** Returns a log that is created when it is told to, and at the latest with the first line. Lines are lost where it cannot be. */
export function lateLogger(create: () => Promise<ServerLog>): ServerLog & { load(): Promise<ServerLog> } {
  let loading: Promise<ServerLog> | undefined;
  const load = () => (loading ??= create());
  const log = (level: keyof ServerLog) => (fields: object, text: string) => {
    // Its files may be gone: npx's cache was cleared. That is no reason to end.
    load()
      .then((logger) => logger[level](fields, text))
      .catch(() => {});
  };
  return { load, warn: log("warn"), error: log("error") };
}
