import { clone, create } from "@bufbuild/protobuf";
import { CommandSpecSchema, completeCommand, type SessionSpec, SessionSpecSchema } from "../../proto/index.ts";

/** Setups that the host's user has configured, by the repository's URL or the directory that it lies in. */
export type SetupCommands = ReadonlyMap<string, string>;

/** Returns the spec with the setup that is configured for its repository, unless it says what its own is. */
export function withSetup(spec: SessionSpec, setups: SetupCommands): SessionSpec {
  const { repository, setup } = spec;
  if (setup !== undefined || repository === undefined) return spec;
  const { uri, snapshot } = repository;
  const command = setups.get(snapshot === undefined ? uri : (snapshot.receipt?.directory ?? ""));
  if (command === undefined) return spec;
  const completed = clone(SessionSpecSchema, spec);
  completed.setup = completeCommand(create(CommandSpecSchema, { command }), "setup");
  return completed;
}
