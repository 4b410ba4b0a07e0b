import { noticeText } from "../present/notice-text.ts";
import { watchAttention } from "../session/attention.ts";
import type { Sessions } from "../session/sessions.ts";
import { findProject, projectOf } from "../source/project.ts";
import { type CommandIo, EXIT } from "./command-io.ts";

/** Looks whether the Claude Code that started this is still there are taken this often (ms). */
const PARENT_CHECK_MS = 2_000;

/**
 * Prints one line when one of these sessions finishes, fails or needs somebody, and nothing otherwise, until a signal or the end
 * of the Claude Code that has started this. Without any: those of the project in `directory`, and those that work on no
 * directory; in no repository all.
 */
export async function notifyCommand(
  sessions: Sessions,
  given: readonly string[],
  { directory }: { directory: string },
  io: CommandIo,
): Promise<number> {
  const own = await findProject(directory, io);
  const over = new AbortController();
  using _parent = whenGone(Number(io.env["CLAUDE_PID"]), () => over.abort());
  const signal = AbortSignal.any([io.signal, over.signal]);
  for await (const noticed of watchAttention(sessions, { alsoNow: true, signal })) {
    const { session } = noticed;
    const project = projectOf(session);
    const isOwn = own === undefined || project === undefined || project === own;
    if (given.length > 0 ? given.includes(session.id) : isOwn) io.stdout.write(`${noticeText(noticed)}\n`);
  }
  return EXIT.done;
}

/** Claude Code that was killed leaves its monitors behind, with nobody who reads what they print. */
function whenGone(pid: number, then: () => void): Disposable {
  if (!Number.isInteger(pid) || pid <= 0) return { [Symbol.dispose]: () => {} };
  const timer = setInterval(() => {
    try {
      process.kill(pid, 0);
    } catch {
      then();
    }
  }, PARENT_CHECK_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
