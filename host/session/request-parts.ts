import { create } from "@bufbuild/protobuf";
import { type Duration, durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  AppError,
  BudgetSchema,
  type CommandSpec,
  CommandSpecSchema,
  ContainerSpecSchema,
  cutChars,
  DecisionPolicy,
  type EgressSpec,
  EgressSpec_Mode,
  EgressSpecSchema,
  type RepositorySpec,
  SessionSpecSchema,
  type UserFiles,
} from "../../proto/index.ts";
import type { CreateSessionRequest } from "./sessions.ts";

/** Most destinations that one request may list. */
export const MAX_DESTINATIONS = 100;

/** Names of what a session may connect to beside the model and its repository, narrowest first. */
export const EGRESS_NAMES = ["none", "listed", "open"] as const;

/** Name of a session's egress: one of EGRESS_NAMES. */
export type EgressName = (typeof EGRESS_NAMES)[number];

const EGRESS_MODES: Record<EgressName, EgressSpec_Mode> = {
  none: EgressSpec_Mode.NONE,
  listed: EgressSpec_Mode.LISTED,
  open: EgressSpec_Mode.OPEN,
};

const DECISION_POLICIES = {
  default: DecisionPolicy.UNSPECIFIED,
  person: DecisionPolicy.PERSON,
  caller: DecisionPolicy.CALLER,
};

/** Names of who decides what Claude asks for. */
export const DECISION_POLICY_NAMES = ["default", "person", "caller"] as const;

/** Name of who decides: one of DECISION_POLICY_NAMES. */
export type DecisionPolicyName = (typeof DECISION_POLICY_NAMES)[number];

/** Wish for a new session, as people write it. Undefined: the default of that field. */
export interface SessionWish {
  task: string;
  repository?: RepositorySpec | undefined;
  model?: string | undefined;
  permissionMode?: string | undefined;
  maxSteps?: number | undefined;
  environment?: Record<string, string> | undefined;
  /** Budget in USD; the two below are tokens and requests to the model. */
  maxCost?: number | undefined;
  maxTokens?: number | undefined;
  maxRequests?: number | undefined;
  egress?: EgressName | undefined;
  allowedDestinations?: string[] | undefined;
  loadProjectSettings?: boolean | undefined;
  /** Id of the session to continue, whole; that below is of the one to start after. */
  previousSessionId?: string | undefined;
  afterSessionId?: string | undefined;
  /** Command that prepares the workspace. Empty: none. */
  setup?: string | undefined;
  /** Command that judges the result. */
  check?: string | undefined;
  /** Seconds, as the four below. */
  timeout?: number | undefined;
  setupTimeout?: number | undefined;
  checkTimeout?: number | undefined;
  decisionTimeout?: number | undefined;
  idleTimeout?: number | undefined;
  userFiles?: UserFiles | undefined;
  decisionPolicy?: DecisionPolicyName | undefined;
  /** JSON Schema that the result is to have, as JSON. */
  jsonSchema?: string | undefined;
  /** Traceparent of what asks for it. */
  traceParent?: string | undefined;
  image?: string | undefined;
  /** Size, as parseSize takes it. */
  memory?: string | undefined;
  cpus?: number | undefined;
}

/** Returns the request that a wish makes. Throws MEMORY_INVALID, TIMEOUT_INVALID. */
export function toCreateRequest(wish: SessionWish): CreateSessionRequest {
  const { memory } = wish;
  return {
    spec: create(SessionSpecSchema, {
      task: wish.task,
      repository: wish.repository,
      model: wish.model ?? "",
      permissionMode: wish.permissionMode ?? "",
      maxStepCount: wish.maxSteps ?? 0,
      environment: wish.environment ?? {},
      budget: create(BudgetSchema, {
        maxCostUsd: wish.maxCost ?? 0,
        maxTokenCount: BigInt(wish.maxTokens ?? 0),
        maxRequestCount: wish.maxRequests ?? 0,
      }),
      egress: toEgress(wish.egress, wish.allowedDestinations),
      loadProjectSettings: wish.loadProjectSettings ?? false,
      previousSessionId: wish.previousSessionId ?? "",
      afterSessionId: wish.afterSessionId ?? "",
      jsonSchema: wish.jsonSchema ?? "",
      userFiles: wish.userFiles,
      traceParent: wish.traceParent ?? "",
      decisionPolicy: DECISION_POLICIES[wish.decisionPolicy ?? "default"],
      setup: toCommand(wish.setup, wish.setupTimeout),
      check: toCommand(wish.check, wish.checkTimeout),
      timeout: toDuration(wish.timeout),
      decisionTimeout: toDuration(wish.decisionTimeout),
      idleTimeout: toDuration(wish.idleTimeout),
    }),
    container: create(ContainerSpecSchema, {
      image: wish.image ?? "",
      memoryBytes: BigInt(memory === undefined ? 0 : parseSize(memory)),
      cpuCount: wish.cpus,
    }),
  };
}

function toCommand(command: string | undefined, timeout: number | undefined): CommandSpec | undefined {
  if (command !== undefined) return create(CommandSpecSchema, { command, timeout: toDuration(timeout) });
  if (timeout === undefined) return undefined;
  throw new AppError("COMMAND_INVALID", "There is a time for a command, but no command.", { help: "Give both." });
}

/** Returns the egress that a name and a list of destinations ask for. Undefined: neither is given, the host decides. */
export function toEgress(name: EgressName | undefined, destinations: string[] | undefined): EgressSpec | undefined {
  if (name === undefined && destinations === undefined) return undefined;
  const mode = name === undefined ? EgressSpec_Mode.UNSPECIFIED : EGRESS_MODES[name];
  return create(EgressSpecSchema, { mode, allowedDestinations: destinations ?? [] });
}

/** Returns the duration of so many seconds, to the millisecond. Undefined for undefined. Throws TIMEOUT_INVALID beyond 10^9 s. */
export function toDuration(seconds: number | undefined): Duration | undefined {
  if (seconds === undefined) return undefined;
  if (Number.isFinite(seconds) && Math.abs(seconds) <= 1e9) return durationFromMs(Math.round(seconds * 1000));
  throw new AppError("TIMEOUT_INVALID", `The timeout is ${seconds} s.`, { help: "Use 1 to 86400 s." });
}

const UNITS: Record<string, number> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** Returns the bytes of a size as Docker writes it: "512m", "2g", "1.5GiB", or bytes. Throws MEMORY_INVALID. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  const bytes = match === null ? NaN : Math.round(Number(match[1]) * UNITS[match[2]!.toLowerCase()]!);
  if (!(bytes > 0 && bytes <= Number.MAX_SAFE_INTEGER)) {
    throw new AppError("MEMORY_INVALID", `"${cutChars(text, 40)}" is not a size.`, {
      help: 'Use a size such as "512m" or "2g".',
    });
  }
  return bytes;
}
