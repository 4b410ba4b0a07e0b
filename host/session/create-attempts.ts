import type { Session } from "../../proto/index.ts";
import type { CreateSessionRequest, Sessions } from "./sessions.ts";

/**
 * Creates so many sessions of the same request, on the same state of its repository. Where one cannot be created those before are
 * stopped. Throws as Sessions.create.
 */
export async function createAttempts(
  sessions: Sessions,
  request: CreateSessionRequest,
  count: number,
): Promise<Session[]> {
  const created: Session[] = [];
  try {
    for (let attempt = 0; attempt < count; attempt++) created.push(await sessions.create(request));
  } catch (error) {
    await Promise.allSettled(
      created.map(({ id }) => sessions.stop(id, { reason: "Another attempt could not start." })),
    );
    throw error;
  }
  return created;
}
