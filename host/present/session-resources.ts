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

/** Returns the URI of the MCP resource with a file as a session has it at its newest. Slashes of the path stay. */
export function fileUri(sessionId: string, path: string): string {
  return `${sessionUri(sessionId)}/${filePart(path.split("/").map(encodeURIComponent).join("/"))}`;
}

/** Returns the part of a session that a file is, its path as it stands in a URI. */
export function filePart(path: string): string {
  return `file/${path}`;
}

/** Reads the session and the part of it that a resource's URI names, such as "patch". Undefined: it is no resource of ours. */
export function readResource(uri: string): { sessionId: string; part: string } | undefined {
  const [, sessionId, part = ""] = /^claudecluster:\/\/sessions\/([^/]+)(?:\/(.+))?$/.exec(uri) ?? [];
  return sessionId === undefined ? undefined : { sessionId, part };
}

/** Reads the path of a file that a part of a session is. Undefined: it is another part. */
export function readFilePath(part: string): string | undefined {
  if (!part.startsWith("file/")) return undefined;
  const path = part.slice("file/".length);
  try {
    return decodeURIComponent(path);
  } catch {
    // A percent sign that is only one.
    return path;
  }
}
