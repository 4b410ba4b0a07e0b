import {
  type CallToolResult,
  inputRequired,
  inputResponse,
  type InputRequiredResult,
  type McpServer,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { ServerLog } from "./server-log.ts";
import {
  asAppError,
  Decider,
  DecisionPolicy,
  isFinal,
  type PendingDecision,
  type Session,
  Session_State,
} from "../../proto/index.ts";
import { turnBegun, readPending } from "../present/read-session.ts";
import { awaitDecided } from "../session/await-session.ts";
import type { Sessions } from "../session/sessions.ts";
import { clientAbilities, type ClientAbilities } from "./client-abilities.ts";
import { decisionForm, formKey, readForm } from "./decision-form.ts";
import { followSessions } from "./follow-session.ts";
import { Presence } from "./presence.ts";
import { taskFacts, taskLine } from "./task-facts.ts";
import { taskAnswer } from "./tasks.ts";
import { attemptsResult, sessionResult, severalResult } from "./tool-result.ts";
import type { NotStarted } from "./sessions-text.ts";
import { readWaitId, type Wait, waitId } from "./wait.ts";
import { wasCanceled } from "./was-canceled.ts";

/** Reason of a session that ended since the call that began it was canceled. */
export const CALL_CANCELED = "The call that started it was canceled.";

const CLOSED =
  "A form was shown for this, and closed without a decision: by your user, or since there is nobody to see it. If you were told how to decide, do so; otherwise ask your user.";

const LATE =
  "A form was filled in for this when it had been decided already, since nobody did in time or somebody else did: it has not counted.";

/** A decision that a person is to be asked for. */
export interface Asked {
  session: Session;
  decision: PendingDecision;
}

/** How a wait stands. */
export interface WaitState {
  sessions: Session[];
  /** Whether there is nothing more to wait for. */
  over: boolean;
  /** What a person has to decide first, oldest first. */
  asked: Asked[];
}

/** A call that waits. */
interface Blocking {
  server: McpServer;
  context: ServerContext;
  abilities: ClientAbilities;
  notStarted: readonly NotStarted[];
  /** Whether it is called again, with the answer to a form. */
  resumed: boolean;
}

/** Who waits, and what for. */
interface AnswerOptions {
  server: McpServer;
  context: ServerContext;
  /** Begins what is waited for. It is not called again where a client calls again with the answer to a form. */
  begin: () => Promise<Wait | { wait: Wait; notStarted: readonly NotStarted[] }>;
  /** Ends the sessions also when the connection is lost or the call times out. Default: only when it is canceled. */
  endWithCall?: boolean;
}

/**
 * Waits of all clients: a call is answered with a task where the client knows such, and otherwise once the wait is over, with
 * progress meanwhile. What a session asks for becomes a form at the client's user, where it shows forms and the session's
 * policy lets it.
 */
export class Waits implements Disposable {
  readonly #sessions: Sessions;
  readonly presence: Presence;
  readonly #logger: ServerLog;
  readonly #stopping = new Set<Promise<void>>();
  /** Forms that were closed without a decision, by their keys. */
  readonly #closed = new Set<string>();
  /** Sessions for which a form was filled in too late. */
  readonly #late = new Set<string>();

  constructor({ sessions, logger }: { sessions: Sessions; logger: ServerLog }) {
    this.#sessions = sessions;
    this.#logger = logger;
    this.presence = new Presence(sessions);
  }

  [Symbol.dispose](): void {
    this.presence[Symbol.dispose]();
  }

  /** Resolves once the sessions that were to end with their calls have been told so. */
  async settled(): Promise<void> {
    await Promise.all(this.#stopping);
  }

  /** Answers a call that waits. */
  async answer(options: AnswerOptions): Promise<CallToolResult | InputRequiredResult> {
    const { server, context, begin, endWithCall = false } = options;
    const abilities = clientAbilities(server, context);
    const state = context.mcpReq.requestState();
    const resumed = typeof state === "string" ? readWaitId(state) : undefined;
    const begun = resumed ?? (await begin());
    const { wait, notStarted } = "wait" in begun ? begun : { wait: begun, notStarted: [] };
    if (wait.sessionIds.length === 0) return this.result(wait, notStarted);
    // What could not be started is told with the answer, so it is told here.
    if (notStarted.length > 0) Object.assign(abilities, { forms: false, tasks: false });
    using _abort = this.#onAbort(wait, options);
    if (resumed !== undefined) await this.take(wait, context.mcpReq.inputResponses ?? {});
    // A task has no connection that could be lost.
    else if (abilities.tasks && !endWithCall) {
      const { over, sessions } = await this.look(wait, abilities);
      return over ? this.result(wait) : taskAnswer(taskFacts(wait, sessions), taskLine(this.presence, sessions));
    }
    return await this.#block(wait, { server, context, abilities, notStarted, resumed: resumed !== undefined });
  }

  /** Returns how a wait stands, for a client with these abilities. Throws NOT_FOUND. */
  async look(wait: Wait, abilities: Pick<ClientAbilities, "forms">): Promise<WaitState> {
    const sessions = await Promise.all(wait.sessionIds.map((id) => this.#sessions.get(id)));
    const asked: Asked[] = [];
    let forCaller = false;
    const over = await Promise.all(
      sessions.map(async (session) => {
        if (session.state === Session_State.WAITING && session.pendingRequests.length > 0) {
          if (!isForPerson(session, abilities)) return (forCaller = true);
          const decisions = await readPending(this.#sessions, session);
          if (!abilities.forms) {
            for (const decision of decisions) await this.#decide({ session, decision }, { kind: "missing" });
            return false;
          }
          const open = decisions.filter(({ request }) => !this.#closed.has(formKey(session.id, request.requestId)));
          asked.push(...open.map((decision) => ({ session, decision })));
          return (forCaller ||= open.length === 0);
        }
        if (isFinal(session.state)) return true;
        const { message } = wait;
        const begun = message === undefined || (await turnBegun(this.#sessions, session, message));
        return session.state === Session_State.IDLE && begun;
      }),
    );
    const late = wait.endMs !== undefined && Date.now() >= wait.endMs;
    return {
      sessions,
      asked: late ? [] : asked,
      over: late || forCaller || (wait.until === "any" ? over.includes(true) : !over.includes(false)),
    };
  }

  /** Takes what was put into forms. Of what somebody else has decided meanwhile nothing comes; what says nothing is closed. */
  async take(wait: Wait, responses: Readonly<Record<string, unknown>>): Promise<void> {
    for (const key of Object.keys(responses)) {
      const id = wait.sessionIds.find((known) => key.startsWith(`${known}.`));
      if (id === undefined) continue;
      const session = await this.#sessions.get(id);
      const decisions = await readPending(this.#sessions, session);
      const decision = decisions.find(({ request }) => formKey(id, request.requestId) === key);
      const response = inputResponse({ ...responses }, key);
      if (decision !== undefined) await this.#decide({ session, decision }, response);
      else if (response.kind === "elicit" && response.action === "accept") this.#late.add(id);
    }
  }

  /** Returns the result of a wait that is over. */
  async result({ sessionIds, report }: Wait, notStarted: readonly NotStarted[] = []): Promise<CallToolResult> {
    if (report === "attempts") return attemptsResult(this.#sessions, sessionIds);
    if (report === "several") return severalResult(this.#sessions, sessionIds, notStarted);
    const [id] = sessionIds;
    const result = await sessionResult(this.#sessions, id!);
    const { pendingRequests } = await this.#sessions.get(id!);
    const closed = pendingRequests.some(({ requestId }) => this.#closed.has(formKey(id!, requestId)));
    if (closed) result.content.push({ type: "text", text: CLOSED });
    if (this.#late.delete(id!)) result.content.push({ type: "text", text: LATE });
    return result;
  }

  /** Ends the sessions of a wait, as somebody who gives up a call wants it. */
  async cancel({ sessionIds }: Wait): Promise<void> {
    const stops = sessionIds.map((id) => {
      const stopping = this.#sessions
        .stop(id, { reason: CALL_CANCELED })
        .catch((error: unknown) => this.#logger.error({ err: error, sessionId: id }, "session could not be stopped"))
        .finally(() => this.#stopping.delete(stopping));
      this.#stopping.add(stopping);
      return stopping;
    });
    await Promise.all(stops);
  }

  async #block(
    wait: Wait,
    { server, context, abilities, notStarted, resumed }: Blocking,
  ): Promise<CallToolResult | InputRequiredResult> {
    const { signal } = context.mcpReq;
    for (let again = resumed; ; again = true) {
      await this.#follow(wait, context, again);
      const now = await this.look(wait, abilities);
      const [first] = now.asked;
      if (signal.aborted || (now.over && first === undefined)) return this.result(wait, notStarted);
      if (first === undefined) continue;
      if (abilities.callsAgain) {
        const { session, decision } = first;
        this.presence.keep(session, durationMs(session.spec!.decisionTimeout!));
        const form = inputRequired.elicit(decisionForm(session, decision));
        const inputRequests = { [formKey(session.id, decision.request.requestId)]: form };
        return inputRequired({ inputRequests, requestState: waitId(wait) });
      }
      await this.#ask(first, { server, context });
    }
  }

  /** Reports progress until one of the sessions asks for something, or none has anything more to do. */
  async #follow(wait: Wait, context: ServerContext, again: boolean): Promise<void> {
    const { kind, sessionIds, message, until, endMs } = wait;
    const now = await Promise.all(sessionIds.map((id) => this.#sessions.get(id)));
    const open = message !== undefined && !(await turnBegun(this.#sessions, now[0]!, message));
    const followed = now.map((session) => {
      if (kind === "spawn" && !again) return { id: session.id, lastSequence: 0, state: Session_State.QUEUED };
      // What it waited for is on its way.
      const decided = session.state === Session_State.WAITING && session.pendingRequests.length === 0;
      return decided ? { ...session, state: Session_State.RUNNING } : session;
    });
    await followSessions(this.#sessions, followed, context, {
      until,
      ...(open && { messageId: message.id }),
      ...(endMs !== undefined && { timeoutMs: Math.max(0, endMs - Date.now()) }),
    });
  }

  /** Shows a form now, while the call waits. It is withdrawn when somebody else decides. */
  async #ask(asked: Asked, { server, context }: { server: McpServer; context: ServerContext }): Promise<void> {
    const { session, decision } = asked;
    const { requestId } = decision.request;
    const decided = new AbortController();
    const signal = AbortSignal.any([context.mcpReq.signal, decided.signal]);
    const others = awaitDecided(this.#sessions, session.id, { requestId, signal, forMs: MAX_FORM_MS })
      .catch(() => {})
      .finally(() => decided.abort());
    try {
      const form = decisionForm(session, decision);
      const options = { signal, timeout: MAX_FORM_MS, relatedRequestId: context.mcpReq.id };
      const answer = await server.server.elicitInput(form, options);
      await this.#decide(asked, inputResponse({ form: answer }, "form"));
    } catch (error) {
      // It was decided meanwhile, the call is over, or the client cannot show it after all.
      if (!signal.aborted) {
        this.#logger.warn({ err: error, sessionId: session.id }, "form could not be shown");
        await this.#decide(asked, { kind: "missing" });
      }
    } finally {
      decided.abort();
      await others;
    }
  }

  async #decide({ session, decision }: Asked, response: ReturnType<typeof inputResponse>): Promise<void> {
    const { id } = session;
    const { requestId } = decision.request;
    const content = response.kind === "elicit" && response.action === "accept" ? (response.content ?? {}) : undefined;
    const declined = response.kind === "elicit" && response.action === "decline";
    const said = content === undefined ? undefined : readForm(decision, content);
    try {
      if (said?.kind === "question") await this.#sessions.answer(id, { requestId, answers: said.answers });
      else if (said !== undefined) await this.#sessions.decide(id, { requestId, ...said });
      else if (declined && decision.kind === "permission") await this.#sessions.decide(id, { requestId, allow: false });
      else if (session.spec?.decisionPolicy === DecisionPolicy.PERSON) await this.#leaveToPolicy(id, decision);
      else return void this.#closed.add(formKey(id, requestId));
      await awaitDecided(this.#sessions, id, { requestId, signal: AbortSignal.timeout(10_000) });
    } catch (error) {
      // Somebody else was quicker, or the session has ended: the wait goes on, and tells.
      const { reason } = asAppError(error);
      if (!["DECISION_MADE", "DECISION_UNKNOWN", "SESSION_OVER", "SESSION_NOT_LIVE"].includes(reason)) throw error;
    }
  }

  async #leaveToPolicy(sessionId: string, { kind, request: { requestId } }: PendingDecision): Promise<void> {
    const decider = Decider.POLICY;
    if (kind === "question") await this.#sessions.answer(sessionId, { requestId, answers: [], decider });
    else await this.#sessions.decide(sessionId, { requestId, allow: false, decider });
  }

  #onAbort(wait: Wait, { context, endWithCall = false }: AnswerOptions): Disposable {
    const { signal } = context.mcpReq;
    const onAbort = () => {
      if (wait.kind === "spawn" && (endWithCall || wasCanceled(signal.reason))) void this.cancel(wait);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    return { [Symbol.dispose]: () => signal.removeEventListener("abort", onAbort) };
  }
}

/** Longer than anybody is waited for (ms). */
const MAX_FORM_MS = 2 * 86_400_000;

/** Whether what a session asks for is a person's to decide, and not the caller's. */
function isForPerson({ spec }: Session, { forms }: Pick<ClientAbilities, "forms">): boolean {
  const policy = spec?.decisionPolicy;
  return policy === DecisionPolicy.PERSON || (forms && policy !== DecisionPolicy.CALLER);
}
