/** The MCP resource that holds a session's patch. */
export function patchUri(sessionId: string): string {
  return `claudecluster://sessions/${sessionId}/patch`;
}

/** The MCP resource that holds Claude's last answer in a session. */
export function answerUri(sessionId: string): string {
  return `claudecluster://sessions/${sessionId}/answer`;
}
