import { type McpServer } from "@modelcontextprotocol/server";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  Artifact_Kind,
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
import { connectOverHttp } from "../../test/support/connect-over-http.ts";
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
  registerResources({ ...server, server: { setRequestHandler() {} } } as unknown as McpServer, sessions, async () =>
    Buffer.of(),
  );
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

const TRANSCRIPT = Array.from({ length: 300 }, (_, number) => JSON.stringify({ number, text: "x".repeat(990) }));

/** Sessions whose transcript is a long one. */
class WithTranscript extends MemorySessions {
  override async openArtifact(id: string, kind: ArtifactKind) {
    if (kind !== Artifact_Kind.TRANSCRIPT) return super.openArtifact(id, kind);
    return memoryArtifact(kind, Buffer.from(`${TRANSCRIPT.join("\n")}\n"\u202e"\n`));
  }
}

test.each(["legacy", "auto"] as const)(
  "lists what there is to read, by pages, and completes ids (%s)",
  async (mode) => {
    using sessions = new WithTranscript();
    const container = create(ContainerSpecSchema);
    const ids: string[] = [];
    for (let number = 0; number < 30; number++) {
      ids.push(
        (await sessions.create({ spec: create(SessionSpecSchema, { task: `task ${number}\u202e` }), container })).id,
      );
    }
    const last = ids.at(-1)!;
    sessions.finish(last, Buffer.from(PATCH), [create(FileChangeSchema, { path: "a" })]);
    const client = await connectOverHttp(sessions, mode);
    const first = await client.request({ method: "resources/list", params: {} });
    const uri = `claudecluster://sessions/${last}`;
    expect(first.resources.slice(0, 2)).toMatchObject([
      { uri, name: `session of …${last.slice(-6)}`, description: "succeeded: task 29" },
      { uri: `${uri}/patch`, mimeType: "text/x-diff" },
    ]);
    const second = await client.request({ method: "resources/list", params: { cursor: first.nextCursor! } });
    expect(second.nextCursor).toBeUndefined();
    const sessionUris = [...first.resources, ...second.resources].map((resource) => resource.uri);
    expect(sessionUris.filter((listed) => !/\/(patch|answer)/.test(listed))).toHaveLength(30);
    for (const listed of first.resources.slice(0, 2)) {
      expect((await client.readResource({ uri: listed.uri })).contents[0]).toHaveProperty("text");
    }
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates.map(({ name }) => name)).toEqual(["session", "patch", "answer", "transcript", "file"]);
    for (const { uriTemplate } of resourceTemplates) {
      const argument = { name: "session_id", value: last.slice(-5) };
      const { completion } = await client.complete({ ref: { type: "ref/resource", uri: uriTemplate }, argument });
      expect(completion.values).toEqual([last]);
    }
    // Every line once, each page bounded, with the next one's URI.
    const lines: string[] = [];
    for (let next: string | undefined = `${uri}/transcript/1`; next !== undefined;) {
      const [page, more] = (await client.readResource({ uri: next })).contents as { text: string }[];
      expect(page!.text.length).toBeLessThan(110_000);
      lines.push(...page!.text.split("\n"));
      next = more?.text.replace("It goes on: ", "");
    }
    expect(lines).toEqual([...TRANSCRIPT, '"\\u202e"']);
    await expect(client.readResource({ uri: `${uri}/transcript/9` })).rejects.toThrow("has no page 9");
    await client.close();
  },
);
