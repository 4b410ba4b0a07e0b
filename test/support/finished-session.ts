import { create } from "@bufbuild/protobuf";
import {
  ContainerSpecSchema,
  SessionFinishedSchema,
  SessionResultSchema,
  SessionSpecSchema,
  Session_State,
} from "../../proto/index.ts";
import type { MemorySessions } from "../contract/memory-sessions.ts";
import type { Files } from "../git/random-trees.ts";
import type { UserArea } from "../git/user-area.ts";

/** Makes a session that has finished with some files of a user's repository changed, and returns its id. */
export async function finishWith(
  sessions: MemorySessions,
  area: UserArea,
  start: Files,
  texts: Record<string, string>,
  { task = "x", treeId, answer = "" }: { task?: string; treeId?: string; answer?: string } = {},
): Promise<string> {
  const spec = create(SessionSpecSchema, { task });
  const { id } = await sessions.create({ spec, container: create(ContainerSpecSchema) });
  const files = Object.entries(texts).map(([path, content]) => [path, { mode: "100644" as const, content }] as const);
  const changes = area.changes(area.head, new Map([...start, ...files]));
  const result = create(SessionResultSchema, {
    outcome: { case: "success", value: {} },
    baseCommitId: changes.startCommitId,
    changes: [...changes.listed.changes],
    changeCount: changes.listed.changeCount,
    treeId: treeId ?? changes.treeId,
    finalText: answer,
  });
  const value = create(SessionFinishedSchema, { state: Session_State.SUCCEEDED, result });
  sessions.say(id, { case: "sessionFinished", value });
  sessions.change(id, changes.patch);
  return id;
}
