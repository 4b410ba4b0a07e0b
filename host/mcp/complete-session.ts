import type { Sessions } from "../session/sessions.ts";

/** So many sessions are offered, the newest. */
const OFFERED = 100;

/** Returns the ids of sessions that begin or end as somebody has begun to write, newest first. */
export async function completeSession(sessions: Pick<Sessions, "list">, written: string): Promise<string[]> {
  const { sessions: newest } = await sessions.list({ pageSize: OFFERED });
  const part = written.toLowerCase();
  const fits = (id: string) => id.toLowerCase().startsWith(part) || id.toLowerCase().endsWith(part);
  return newest.map(({ id }) => id).filter(fits);
}
