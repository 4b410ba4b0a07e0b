import type { HostLink } from "../daemon/host-link.ts";
import type { Sessions } from "../session/sessions.ts";
import type { LocalSource } from "../source/local-source.ts";
import { readWishDefaults } from "../source/wish-defaults.ts";
import type { CommandIo } from "./command-io.ts";

/** Context that the commands are registered with. */
export interface CommandContext {
  io: CommandIo;
  /** Sets the exit code of the process. */
  setExitCode(code: number): void;
}

/** Loads a link to the host, not yet connected, which starts no host before it is used. The caller disposes of it. */
export async function hostLink({ env }: CommandIo): Promise<HostLink> {
  const { HostLink } = await import("../daemon/host-link.ts");
  const { readDirectories } = await import("../directories.ts");
  return new HostLink({ directories: readDirectories(env), env });
}

/** Loads the source of the repositories that this machine's callers give the sessions of a host. */
export async function localSource({ env }: CommandIo, { receiver }: Pick<HostLink, "receiver">): Promise<LocalSource> {
  const { LocalSource } = await import("../source/local-source.ts");
  const { claudeDirectory, homeDirectory, readDirectories } = await import("../directories.ts");
  const { stateDirectory, configDirectory } = readDirectories(env);
  const defaults = () => readWishDefaults(configDirectory);
  const home = homeDirectory(env);
  return new LocalSource({ stateDirectory, home, claudeDirectory: claudeDirectory(env), receiver, defaults });
}

/** Runs a command on the host's sessions. The host is started if there is none. */
export async function withSessions(
  { io, setExitCode }: CommandContext,
  run: (sessions: Sessions, link: HostLink) => Promise<number>,
): Promise<void> {
  using link = await hostLink(io);
  setExitCode(await run(link.sessions, link));
}

/** Runs a command on one session that is named by its id or a part of it. Throws as resolveSession. */
export function withSession(
  context: CommandContext,
  given: string,
  run: (sessions: Sessions, sessionId: string) => Promise<number>,
): Promise<void> {
  return withSessions(context, async (sessions) => {
    const { resolveSession } = await import("../session/resolve-session.ts");
    return run(sessions, await resolveSession(sessions, given));
  });
}

/** Runs a command on several sessions, on none of them if one does not exist. Throws as resolveEach. */
export function withEachSession(
  context: CommandContext,
  given: readonly string[],
  run: (sessions: Sessions, ids: string[]) => Promise<number>,
): Promise<void> {
  return withSessions(context, async (sessions) => {
    const { resolveEach } = await import("../session/resolve-session.ts");
    return run(sessions, await resolveEach(sessions, given));
  });
}
