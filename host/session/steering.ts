import { create } from "@bufbuild/protobuf";
import { ulid } from "ulid";
import {
  type AttachRequest,
  AttachRequestSchema,
  checkMessage,
  decisionMade,
  InterruptSchema,
  sessionEnded,
  UserMessageSchema,
} from "../../proto/index.ts";
import { decisionName, isMessageName, messageName, type SessionLog } from "./session-log.ts";
import { requireMessageRoom } from "./states.ts";

type Request = AttachRequest["request"];

/** Log of the session, and its run. */
export interface SteeringOptions {
  log: SessionLog;
  say(request: Request): void;
  /** Whether the host has begun to end the session. */
  ending(): boolean;
}

/**
 * Messages and decisions of callers for a session's agent. What must not be lost is kept in the log first, until the
 * agent has it.
 */
export class Steering {
  readonly #log: SessionLog;
  /** Tells the agent, if there is one. Nothing is kept. */
  readonly say: (request: Request) => void;
  readonly #ending: () => boolean;

  constructor({ log, say, ending }: SteeringOptions) {
    this.#log = log;
    this.say = say;
    this.#ending = ending;
  }

  /** Ends the running turn. It is not kept: it may be lost with the connection or the host. */
  interrupt(): void {
    this.say({ case: "interrupt", value: create(InterruptSchema) });
  }

  /**
   * Sends Claude another message. Once this resolves the message is stored, and survives the host; an id that was given
   * before is no other message. Throws what the agent would refuse when nobody listens any more: MESSAGE_EMPTY,
   * MESSAGE_TOO_LONG, MESSAGE_ID_INVALID, SESSION_ENDED, TURN_LIMIT_REACHED, QUEUE_FULL.
   */
  async sendMessage({ text, messageId = "" }: { text: string; messageId?: string }): Promise<void> {
    checkMessage({ text, messageId });
    const id = messageId === "" ? ulid() : messageId;
    const name = messageName(id);
    if (messageId !== "" && (await this.#log.hasArrived(name))) return;
    const kept = this.#log.keptNames;
    if (!kept.includes(name)) {
      if (this.#ending()) throw sessionEnded();
      requireMessageRoom(this.#log.session, kept.filter(isMessageName).length);
    }
    this.#keepAndSay(name, { case: "userMessage", value: create(UserMessageSchema, { text, messageId: id }) });
  }

  /** Decides what Claude waits for. The decision survives the host as a message does. Throws DECISION_MADE. */
  decide(requestId: string, request: Extract<Request, { case: "permissionDecision" | "answer" }>): void {
    const name = decisionName(requestId);
    if (this.#log.keptNames.includes(name)) throw decisionMade(requestId);
    this.#keepAndSay(name, request);
  }

  /** Keeps a request for the agent of this host or of the next. The first one of a name is kept. */
  keep(name: string, request: Request): void {
    this.#log.keepRequest(name, create(AttachRequestSchema, { request }));
  }

  #keepAndSay(name: string, request: Request): void {
    this.keep(name, request);
    this.say(request);
  }
}
