/** Log of the MCP server: as much of a logger as it uses. */
export interface ServerLog {
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}
