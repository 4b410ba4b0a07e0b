import type { Logger } from "pino";
import { asAppError, cutChars } from "../../proto/index.ts";
import type { Sessions } from "../session/sessions.ts";

/**
 * Returns the sessions for a caller from elsewhere: those that it starts have its name, and what it does to any is a line in
 * the host's log.
 */
export function onBehalfOf(sessions: Sessions, { caller, logger }: { caller: string; logger: Logger }): Sessions {
  const noted = async <T>(what: string, sessionId: string, act: () => Promise<T>): Promise<T> => {
    const facts = { caller, sessionId: cutChars(sessionId, 64) };
    try {
      const result = await act();
      logger.info(facts, what);
      return result;
    } catch (error) {
      logger.info({ ...facts, reason: asAppError(error).reason }, `${what}: refused`);
      throw error;
    }
  };
  return {
    async create(request) {
      try {
        const session = await sessions.create({ ...request, caller });
        logger.info({ caller, sessionId: session.id }, "caller starts session");
        return session;
      } catch (error) {
        logger.info({ caller, reason: asAppError(error).reason }, "caller starts session: refused");
        throw error;
      }
    },
    get: (id) => sessions.get(id),
    list: (request) => sessions.list(request),
    watch: (id, options) => sessions.watch(id, options),
    watchAll: (request) => sessions.watchAll(request),
    stop: (id, options) => noted("caller stops session", id, () => sessions.stop(id, options)),
    interrupt: (id) => noted("caller interrupts session", id, () => sessions.interrupt(id)),
    sendMessage: (id, message) => noted("caller sends message", id, () => sessions.sendMessage(id, message)),
    decide: (id, decision) => noted("caller decides permission", id, () => sessions.decide(id, decision)),
    answer: (id, answer) => noted("caller answers question", id, () => sessions.answer(id, answer)),
    markTaken: (id, taken) => noted("caller notes changes", id, () => sessions.markTaken(id, taken)),
    delete: (id, options) => noted("caller removes session", id, () => sessions.delete(id, options)),
    openArtifact: (id, kind) => noted("caller reads changes", id, () => sessions.openArtifact(id, kind)),
    dial(id, bytes, options) {
      logger.info({ caller, sessionId: cutChars(id, 64) }, "caller dials agent");
      return sessions.dial(id, bytes, options);
    },
  };
}
