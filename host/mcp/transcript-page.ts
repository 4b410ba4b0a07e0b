import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { AppError, Artifact_Kind } from "../../proto/index.ts";
import { plainJson } from "../present/plain-text.ts";
import type { Sessions } from "../session/sessions.ts";

/** A page is full with the line that fills it (UTF-16 units); a longer line is cut. */
const PAGE_LENGTH = 100_000;

/** Page of a transcript. */
export interface TranscriptPage {
  /** Lines of JSON, as Claude Code wrote them; one that is too long for a page is cut. */
  text: string;
  /** Whether another page follows. */
  more: boolean;
}

/** Reads a page of a finished session's transcript, from 1. Throws what openArtifact throws, and PAGE_TOKEN_INVALID. */
export async function readTranscriptPage(
  sessions: Pick<Sessions, "openArtifact">,
  sessionId: string,
  wanted: number,
): Promise<TranscriptPage> {
  using transcript = await sessions.openArtifact(sessionId, Artifact_Kind.TRANSCRIPT);
  const lines: string[] = [];
  let [page, length] = [1, 0];
  for await (const line of createInterface({ input: Readable.from(transcript.read()), crlfDelay: Infinity })) {
    if (length >= PAGE_LENGTH) [page, length] = [page + 1, 0];
    if (page > wanted) return { text: lines.join("\n"), more: true };
    length += line.length + 1;
    if (page === wanted) lines.push(shown(line));
  }
  if (lines.length > 0) return { text: lines.join("\n"), more: false };
  throw new AppError("PAGE_TOKEN_INVALID", `The transcript of ${sessionId} has no page ${wanted}.`, {
    help: `It has ${page}; the first one is 1.`,
  });
}

function shown(line: string): string {
  return plainJson(
    line.length <= PAGE_LENGTH ? line : `${line.slice(0, PAGE_LENGTH)}… [cut: ${line.length} characters]`,
  );
}
