import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ContainerSpecSchema,
  type RepositorySpecSchema,
  SessionFinishedSchema,
  SessionResultSchema,
  SessionSpecSchema,
  Session_State,
} from "../../proto/index.ts";
import type { MemorySessions } from "../contract/memory-sessions.ts";
import type { Files } from "../git/random-trees.ts";
import type { UserArea } from "../git/user-area.ts";

/** What is said of a session that has finished. */
export interface FinishOptions {
  task?: string;
  /** Default: the true one. */
  treeId?: string;
  answer?: string;
  repository?: MessageInitShape<typeof RepositorySpecSchema>;
}

/** Makes a session that has finished with some files of a user's repository changed, and returns its id. */
export async function finishWith(
  sessions: MemorySessions,
  area: UserArea,
  start: Files,
  texts: Record<string, string>,
  { task = "x", treeId, answer = "", repository }: FinishOptions = {},
): Promise<string> {
  const spec = create(SessionSpecSchema, { task, ...(repository !== undefined && { repository }) });
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
