import { AppError, cutChars, type RestoreSessionRequest, type RestoreStart } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import { isConversationId } from "../claude/transcript.ts";
import { AnnouncedBytes, MAX_PATCH_BYTES, MAX_TRANSCRIPT_BYTES, type Restore } from "../session/restore.ts";

/** Takes what the session to come continues. */
export async function restoreSession(
  core: AgentCore,
  requests: AsyncIterable<RestoreSessionRequest>,
): Promise<Record<string, never>> {
  let start: RestoreStart | undefined;
  let patch: AnnouncedBytes | undefined;
  let transcript: AnnouncedBytes | undefined;
  for await (const request of requests) {
    if (start === undefined) {
      start = readStart(request);
      core.sessions.requireFree(start.sessionId);
      const { patchSizeBytes, patchSha256, transcriptSizeBytes, transcriptSha256 } = start;
      const patchFacts = { sizeBytes: patchSizeBytes, sha256: patchSha256 };
      patch = new AnnouncedBytes("patch", patchFacts, { maxBytes: MAX_PATCH_BYTES });
      const transcriptFacts = { sizeBytes: transcriptSizeBytes, sha256: transcriptSha256 };
      transcript = new AnnouncedBytes("transcript", transcriptFacts, { maxBytes: MAX_TRANSCRIPT_BYTES });
    }
    patch!.push(request.patch);
    transcript!.push(request.transcript);
  }
  if (start === undefined) throw startExpected();
  const restore: Restore = {
    conversationId: start.conversationId,
    patch: patch!.bytes(),
    transcript: transcript!.bytes(),
  };
  core.sessions.restore(start.sessionId, restore);
  return {};
}

function readStart({ start }: RestoreSessionRequest): RestoreStart {
  if (start === undefined) throw startExpected();
  // It becomes a file's name, and an argument.
  if (start.conversationId === "" || isConversationId(start.conversationId)) return start;
  throw new AppError("RESTORE_INVALID", `"${cutChars(start.conversationId, 64)}" cannot be a conversation's id.`, {
    help: "Send the conversation_id of the session before, or none.",
  });
}

function startExpected(): AppError {
  return new AppError("RESTORE_INVALID", "The first message of RestoreSession must hold start.");
}
