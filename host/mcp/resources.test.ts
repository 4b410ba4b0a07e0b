import { type McpServer } from "@modelcontextprotocol/server";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  type ArtifactKind,
  ContainerSpecSchema,
  FailureSchema,
  FileChangeSchema,
  SessionResultSchema,
  SessionSchema,
  SessionSpecSchema,
  type SessionResult,
  TakenChanges_Kind,
} from "../../proto/index.ts";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { memoryArtifact } from "../../test/support/memory-artifact.ts";
import type { Sessions } from "../session/sessions.ts";
import { registerResources } from "./resources.ts";

const URI = "claudecluster://sessions/ses_1/patch";
const PATCH = "diff --git a/a b/a\n";

/** Reads the patch of a session that ended with an outcome, as the server would be asked for it. */
async function readPatch(outcome: SessionResult["outcome"]): Promise<unknown> {
  const session = create(SessionSchema, { id: "ses_1", result: create(SessionResultSchema, { outcome }) });
  const sessions = {
    get: async () => session,
    openArtifact: async (_id: string, kind: ArtifactKind) => memoryArtifact(kind, Buffer.from(PATCH)),
  };
  return await readOf("patch", sessions as unknown as Sessions, "ses_1");
}

async function readOf(resource: string, sessions: Sessions, id: string): Promise<unknown> {
  const readers = new Map<string, (uri: URL, variables: Record<string, string>) => Promise<{ contents: unknown }>>();
  const server = {
    registerResource: (name: string, ...[, , read]: [unknown, unknown, never]) => void readers.set(name, read),
  };
  registerResources(server as unknown as McpServer, sessions);
  return (await readers.get(resource)!(new URL(URI), { session_id: id })).contents;
}

test("gives a patch as it is", async () => {
  expect(await readPatch({ case: undefined })).toEqual([{ uri: URI, mimeType: "text/x-diff", text: PATCH }]);
});

test("a patch that was read counts as saved", async () => {
  using stored = new MemorySessions();
  const { id } = await stored.create({
    spec: create(SessionSpecSchema, { task: "x" }),
    container: create(ContainerSpecSchema),
  });
  stored.finish(id, Buffer.from(PATCH), [create(FileChangeSchema, { path: "a" })]);
  await readOf("patch", stored, id);
  expect((await stored.get(id)).taken).toMatchObject({ kind: TakenChanges_Kind.SAVED });
});

test("says before a patch that contradicts its session's list of changes that it is not to be applied", async () => {
  const value = create(FailureSchema, { reason: "PATCH_MISMATCH", message: "The patch is not what the list says." });
  expect(await readPatch({ case: "failure", value })).toEqual([
    {
      uri: URI,
      mimeType: "text/plain",
      text: "PATCH_MISMATCH: The patch is not what the list says.\nDo not apply this patch.",
    },
    { uri: URI, mimeType: "text/x-diff", text: PATCH },
  ]);
});
