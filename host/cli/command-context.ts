import { HostLink } from "../daemon/host-link.ts";
import { homeDirectory, readDirectories } from "../directories.ts";
import type { Sessions } from "../session/sessions.ts";
import { LocalSource } from "../source/local-source.ts";
import type { CommandIo } from "./command-io.ts";
import { resolveEach, resolveSession } from "./resolve-session.ts";

/** What the commands are registered with. */
export interface CommandContext {
  io: CommandIo;
  /** Called with what the process is to exit with. */
  setExitCode(code: number): void;
}

/** Returns a way to the host; whoever asks for it disposes of it. Nothing is connected or started yet. */
export function hostLink({ env }: CommandIo): HostLink {
  return new HostLink({ directories: readDirectories(env), env });
}

/** Where the sessions of this machine's callers get their repositories from. */
export function localSource({ env }: CommandIo): LocalSource {
  return new LocalSource({ stateDirectory: readDirectories(env).stateDirectory, home: homeDirectory(env) });
}

/** Runs a command on the host's sessions. The host is started if there is none. */
export async function withSessions(
  { io, setExitCode }: CommandContext,
  run: (sessions: Sessions) => Promise<number>,
): Promise<void> {
  using link = hostLink(io);
  setExitCode(await run(link.sessions));
}

/** Runs a command on one session that is named by its id or a part of it. */
export function withSession(
  context: CommandContext,
  given: string,
  run: (sessions: Sessions, sessionId: string) => Promise<number>,
): Promise<void> {
  return withSessions(context, async (sessions) => run(sessions, await resolveSession(sessions, given)));
}

/** Runs a command on several sessions: on none of them if one does not exist. */
export function withEachSession(
  context: CommandContext,
  given: readonly string[],
  run: (sessions: Sessions, ids: string[]) => Promise<number>,
): Promise<void> {
  return withSessions(context, async (sessions) => {
    return run(sessions, await resolveEach(sessions, given));
  });
}
