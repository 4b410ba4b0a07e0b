/** Returns the URI of the MCP resource with a session as it is now. */
export function sessionUri(sessionId: string): string {
  return `claudecluster://sessions/${sessionId}`;
}

/** Returns the URI of the MCP resource with a session's patch. */
export function patchUri(sessionId: string): string {
  return `${sessionUri(sessionId)}/patch`;
}

/** Returns the URI of the MCP resource with Claude's last answer in a session. */
export function answerUri(sessionId: string): string {
  return `${sessionUri(sessionId)}/answer`;
}

/** Returns the URI of the MCP resource with a page of a session's transcript. The first one is 1. */
export function transcriptUri(sessionId: string, page: number | string): string {
  return `${sessionUri(sessionId)}/transcript/${page}`;
}
