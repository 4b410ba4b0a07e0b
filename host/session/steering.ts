import { create } from "@bufbuild/protobuf";
import { ulid } from "ulid";
import {
  type AttachRequest,
  AttachRequestSchema,
  checkMessage,
  decisionMade,
  InterruptSchema,
  UserMessageSchema,
} from "../../proto/index.ts";
import type { SessionLog } from "./session-log.ts";

type Request = AttachRequest["request"];

/**
 * Messages and decisions of callers for a session's agent. What must not be lost is kept in the log first, until the
 * agent has it.
 */
export class Steering {
  readonly #log: SessionLog;
  /** Tells the agent, if there is one. Nothing is kept. */
  readonly say: (request: Request) => void;

  constructor({ log, say }: { log: SessionLog; say: (request: Request) => void }) {
    this.#log = log;
    this.say = say;
  }

  /** Ends the running turn. It is not kept: it may be lost with the connection or the host. */
  interrupt(): void {
    this.say({ case: "interrupt", value: create(InterruptSchema) });
  }

  /**
   * Sends Claude another message. Once this returns the message is stored, and survives the host. Throws MESSAGE_EMPTY,
   * MESSAGE_TOO_LONG, MESSAGE_ID_INVALID: the agent would refuse it when nobody listens any more.
   */
  sendMessage({ text, messageId = "" }: { text: string; messageId?: string }): void {
    checkMessage({ text, messageId });
    const id = messageId === "" ? ulid() : messageId;
    this.#keepAndSay(`message ${id}`, {
      case: "userMessage",
      value: create(UserMessageSchema, { text, messageId: id }),
    });
  }

  /** Decides what Claude waits for. The decision survives the host as a message does. Throws DECISION_MADE. */
  decide(requestId: string, request: Extract<Request, { case: "permissionDecision" | "answer" }>): void {
    const name = `decision ${requestId}`;
    if (this.#log.keepsRequest(name)) throw decisionMade(requestId);
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
