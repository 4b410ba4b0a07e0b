import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  checkAnswers,
  cutText,
  Decider,
  type EventBody,
  type DecisionTime,
  DecisionTimeChangedSchema,
  DecisionTimeSchema,
  PermissionDecidedSchema,
  PermissionRequestedSchema,
  type QuestionAnswer,
  QuestionAnsweredSchema,
  QuestionAskedSchema,
  RememberedIds,
  requirePending,
} from "../../proto/index.ts";
import type { PermissionRequest } from "../claude/parse.ts";
import { answeredInput, QUESTION_TOOL, readQuestions } from "../claude/questions.ts";
import { type SessionGrant, sessionGrant } from "../claude/session-grant.ts";
import { shortenJson } from "../claude/shorten.ts";
import { Countdown } from "./countdown.ts";

/** Answer to Claude: it may use the tool with this input and more from now on, or it may not, for this reason. */
export type Verdict =
  | { allowed: true; input: PermissionRequest["input"]; updates?: SessionGrant["updates"] }
  | { allowed: false; message: string };

/** Time for a decision, and where requests and answers go. */
export interface DecisionsOptions {
  /** Time after which a request is denied (ms), while anybody could be asked. */
  timeoutMs: number;
  emit(event: EventBody): void;
  /** Gives Claude the answer. */
  tell(requestId: string, verdict: Verdict): void;
  /** Called with true when the first request waits, and with false when none does any more. */
  onWaiting(waiting: boolean): void;
}

interface Waiting {
  readonly request: PermissionRequest;
  /** Undefined: it is no question. */
  readonly questionCount: number | undefined;
  readonly countdown: Countdown;
  /** Ends the wait though nobody could be asked. */
  readonly limit: NodeJS.Timeout;
}

const INPUT_BYTES = 32 * 1024;
const DESCRIPTION_BYTES = 2 * 1024;
const MESSAGE_BYTES = 8 * 1024;
/** Claude asks for one thing after the other, and each of its sub-agents does. */
const MAX_WAITING = 100;
/** A container is not kept for ever for somebody who does not come back (ms). */
const MAX_ABSENCE_MS = 86_400_000;

const DENIED = "This was denied. Do what you can without it.";
const NOT_READABLE = "This question cannot be shown to anybody. Decide yourself and go on.";
const BY_POLICY = "Nobody can be asked, so this was denied. Do what you can without it.";
const LEFT_BY_POLICY = "Nobody can be asked. Decide yourself and go on.";
const TOO_MANY = "Too many requests are waiting already. Do what you can without this.";

/** Decisions that Claude may not take itself. Each waits for a caller, and is denied after its time. */
export class Decisions {
  readonly #options: DecisionsOptions;
  readonly #waiting = new Map<string, Waiting>();
  readonly #decided = new RememberedIds();
  /** Whether anybody could be asked. */
  #audience = true;
  #toldOfAudience = false;

  constructor(options: DecisionsOptions) {
    this.#options = options;
  }

  /** Asks callers for a decision. A request that cannot be shown, or is one too many, is denied at once. */
  ask(request: PermissionRequest): void {
    const { requestId } = request;
    if (this.#waiting.has(requestId)) return;
    if (this.#waiting.size >= MAX_WAITING) return this.#options.tell(requestId, { allowed: false, message: TOO_MANY });
    const countdown = new Countdown(this.#options.timeoutMs, () => this.#expire(requestId));
    if (this.#audience) countdown.go();
    const time = this.#timeOf(requestId, countdown);
    const expireTime = time.expireTime && { expireTime: time.expireTime };
    let questionCount: number | undefined;
    if (request.toolName === QUESTION_TOOL) {
      const questions = readQuestions(request.input);
      if (questions === undefined) {
        countdown.pause();
        return this.#options.tell(requestId, { allowed: false, message: NOT_READABLE });
      }
      questionCount = questions.length;
      const value = create(QuestionAskedSchema, { requestId, toolUseId: request.toolUseId, questions, ...expireTime });
      this.#options.emit({ case: "questionAsked", value });
    } else {
      const { text: inputJson, truncated } = shortenJson(request.input, INPUT_BYTES);
      const { toolUseId, toolName } = request;
      const description = cutText(request.description, DESCRIPTION_BYTES).text;
      const { rules: sessionRules } = sessionGrant(request);
      const fields = { requestId, toolUseId, toolName, inputJson, truncated, description, sessionRules, ...expireTime };
      this.#options.emit({ case: "permissionRequested", value: create(PermissionRequestedSchema, fields) });
    }
    const limit = setTimeout(() => this.#expire(requestId), this.#options.timeoutMs + MAX_ABSENCE_MS);
    this.#waiting.set(requestId, { request, questionCount, countdown, limit });
    if (this.#waiting.size === 1) this.#options.onWaiting(true);
  }

  /** Decides on a permission. Throws DECISION_UNKNOWN, DECISION_MADE, DECISION_MISMATCH. */
  decide(
    requestId: string,
    {
      allow,
      message,
      forSession = false,
      decider,
    }: { allow: boolean; message: string; forSession?: boolean; decider?: Decider },
  ): void {
    const { request } = this.#require(requestId, "permission");
    const by = decider === Decider.POLICY ? decider : Decider.CALLER;
    if (allow) {
      const grant = forSession ? sessionGrant(request) : undefined;
      const verdict = { allowed: true as const, input: request.input, ...(grant && { updates: grant.updates }) };
      return this.#settle(requestId, by, verdict, { sessionRules: grant?.rules ?? [] });
    }
    const said = cutText(message, MESSAGE_BYTES).text || (by === Decider.POLICY ? BY_POLICY : DENIED);
    this.#settle(requestId, by, denial(said));
  }

  /** Answers questions; by the policy, leaves them to Claude. Throws as `decide` does, and ANSWER_INVALID. */
  answer(requestId: string, answers: QuestionAnswer[], decider = Decider.CALLER): void {
    const { request, questionCount = 0 } = this.#require(requestId, "question");
    if (decider === Decider.POLICY) return this.#settle(requestId, decider, denial(LEFT_BY_POLICY));
    checkAnswers(answers, questionCount);
    const input = answeredInput(request.input, answers);
    this.#settle(requestId, Decider.CALLER, { allowed: true, input }, { answers });
  }

  /** Notes whether anybody could be asked: while nobody could, no time runs out, but for a day. */
  audience(present: boolean): void {
    this.#toldOfAudience = true;
    if (present === this.#audience) return;
    this.#audience = present;
    const times = [...this.#waiting].map(([requestId, { countdown }]) => {
      if (present) countdown.go();
      else countdown.pause();
      return this.#timeOf(requestId, countdown);
    });
    if (times.length === 0) return;
    this.#options.emit({ case: "decisionTimeChanged", value: create(DecisionTimeChangedSchema, { times }) });
  }

  /** Withdraws a request: Claude does not want to know any more. */
  withdraw(requestId: string): void {
    if (this.#waiting.has(requestId)) this.#settle(requestId, Decider.END, denial(""));
  }

  /** Withdraws all requests: Claude is gone. */
  close(): void {
    for (const requestId of [...this.#waiting.keys()]) this.withdraw(requestId);
  }

  #expire(requestId: string): void {
    const seconds = this.#options.timeoutMs / 1000;
    const message =
      this.#waiting.get(requestId)?.questionCount === undefined
        ? `Nobody decided within ${seconds} s, so this was denied. Do what you can without it.`
        : `Nobody answered within ${seconds} s. Decide yourself and go on.`;
    this.#settle(requestId, Decider.TIMEOUT, denial(message));
  }

  /** Notes that the owner has gone. Nobody could be asked any more, if that is by whom such was told. */
  ownerGone(): void {
    if (this.#toldOfAudience) this.audience(false);
  }

  #timeOf(requestId: string, { leftMs }: Countdown): DecisionTime {
    const expireTime = this.#audience && { expireTime: timestampFromMs(Date.now() + Math.round(leftMs)) };
    return create(DecisionTimeSchema, { requestId, ...expireTime });
  }

  #settle(
    requestId: string,
    decider: Decider,
    verdict: Verdict,
    { answers = [], sessionRules = [] }: { answers?: QuestionAnswer[]; sessionRules?: string[] } = {},
  ): void {
    const { questionCount, countdown, limit } = this.#waiting.get(requestId)!;
    countdown.pause();
    clearTimeout(limit);
    this.#waiting.delete(requestId);
    this.#decided.add(requestId);
    if (questionCount === undefined) {
      const { allowed } = verdict;
      const fields = { requestId, allowed, message: verdict.allowed ? "" : verdict.message, decider, sessionRules };
      this.#options.emit({ case: "permissionDecided", value: create(PermissionDecidedSchema, fields) });
    } else {
      const value = create(QuestionAnsweredSchema, { requestId, answers, decider });
      this.#options.emit({ case: "questionAnswered", value });
    }
    if (decider !== Decider.END) this.#options.tell(requestId, verdict);
    if (this.#waiting.size === 0) this.#options.onWaiting(false);
  }

  #require(requestId: string, kind: "permission" | "question"): Waiting {
    const waiting = this.#waiting.get(requestId);
    const waitingKind = waiting && (waiting.questionCount === undefined ? "permission" : "question");
    requirePending(requestId, kind, { waiting: waitingKind, decided: this.#decided.has(requestId) });
    return waiting!;
  }
}

function denial(message: string): Verdict {
  return { allowed: false, message };
}
