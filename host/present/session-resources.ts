/** Returns the URI of the MCP resource with a session's patch. */
export function patchUri(sessionId: string): string {
  return `claudecluster://sessions/${sessionId}/patch`;
}

/** Returns the URI of the MCP resource with Claude's last answer in a session. */
export function answerUri(sessionId: string): string {
  return `claudecluster://sessions/${sessionId}/answer`;
}
