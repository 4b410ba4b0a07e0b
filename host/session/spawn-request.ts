import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { z } from "zod";
import {
  AppError,
  BudgetSchema,
  ContainerSpecSchema,
  cutChars,
  EgressSpec_Mode,
  EgressSpecSchema,
  PERMISSION_MODES,
  RepositorySpecSchema,
  SessionSpecSchema,
} from "../../proto/index.ts";
import type { CreateSessionRequest } from "./sessions.ts";

/** What `spawn_claude_container` takes. Unknown arguments are refused. */
export const spawnInputSchema = z.strictObject({
  task: z
    .string()
    .describe("What the Claude in the container is to do: complete, since it sees nothing of this conversation."),
  repository: z
    .string()
    .optional()
    .describe(
      "http(s) URL of the git repository to clone, or its address on a well-known site. Without it the workspace starts empty.",
    ),
  ref: z.string().optional().describe("Branch, tag or full commit id to start from. Default: the remote's HEAD."),
  model: z.string().optional().describe("Model name or alias, as Claude Code takes it. Default: Claude Code's own."),
  timeout_seconds: z
    .number()
    .optional()
    .describe("When it is over Claude is interrupted; changes up to then are returned. Default: 300."),
  permission_mode: z
    .enum(PERMISSION_MODES)
    .optional()
    .describe("Default: bypassPermissions, since the container has no network, no key and no root."),
  image: z
    .string()
    .optional()
    .describe("Image with the ClaudeCluster agent. Default: the one that this host is set to."),
  memory: z.string().optional().describe('Memory limit, such as "512m" or "4g". Default: "2g".'),
  cpus: z.number().optional().describe("CPU limit. Default: 2, or as many as the engine has."),
  egress: z
    .enum(["none", "listed", "open"])
    .optional()
    .describe(
      "What the container may connect to beside the model and the repository. listed: package registries and what the host's user listed. open: every public host, where the host's user allows that. Default: what the host is set to, usually listed.",
    ),
  allowed_destinations: z
    .array(z.string())
    .max(100)
    .optional()
    .describe('More destinations for this session, each exactly "host" (port 443) or "host:port"; public ones only.'),
  environment: z
    .record(z.string(), z.string())
    .optional()
    .describe("Variables for Claude's environment. Never for secrets."),
  continue_session: z
    .string()
    .optional()
    .describe("Id of a finished session to go on with: its changes are restored and its conversation is resumed."),
  decision_timeout_seconds: z
    .number()
    .optional()
    .describe(
      "How long the session waits for a permission or an answer, before the permission is denied or the question is left to Claude. 0: nobody is asked. Default: 60.",
    ),
  load_project_settings: z
    .boolean()
    .optional()
    .describe(
      "true: load the repository's own Claude Code settings, hooks and MCP servers, which run in the container unseen. Default: false; its CLAUDE.md counts anyway.",
    ),
  max_cost_usd: z
    .number()
    .positive()
    .optional()
    .describe("Most that the session may cost, in USD from list prices. Default: what the host allows."),
  max_tokens: z
    .int()
    .min(1)
    .optional()
    .describe("Most tokens, sent and received, those of the cache included. Default: what the host allows."),
  max_requests: z.int32().min(1).optional().describe("Most model requests. Default: what the host allows."),
  max_steps: z.int32().min(1).optional().describe("Most model steps. Default: no limit."),
  idle_timeout_seconds: z
    .number()
    .optional()
    .describe(
      "Keep the session for this long after a turn, so that it takes follow-up messages. Default: 0, it ends after its turn.",
    ),
});

export type SpawnInput = z.infer<typeof spawnInputSchema>;

/** A session as the tools answer with it. See SessionSummary. */
export const sessionOutputSchema = z.looseObject({
  session_id: z.string(),
  container_id: z.string(),
  state: z.string(),
  note: z.string(),
  waiting_for: z
    .array(z.looseObject({ request_id: z.string(), kind: z.enum(["permission", "question"]), expire_time: z.string() }))
    .optional(),
  waiting: z
    .string()
    .optional()
    .describe("What the host waits for before it can go on with the session, and what to do; the rest may be older."),
  recent_progress: z.array(z.string()).optional(),
  result: z.string(),
  answer_uri: z.string().optional(),
  no_answer: z.string().optional(),
  changes: z.array(
    z.looseObject({ path: z.string(), kind: z.string(), added_lines: z.number(), deleted_lines: z.number() }),
  ),
  change_count: z.number(),
  patch: z.string().optional(),
  patch_uri: z.string(),
  patch_size_bytes: z.number(),
  not_in_patch: z
    .array(z.string())
    .optional()
    .describe("What the patch does not hold and why. It is gone with the container: tell your user."),
  usage: z
    .looseObject({ input_tokens: z.number(), output_tokens: z.number(), cost_usd: z.number().optional() })
    .optional(),
  phases: z.array(z.object({ phase: z.string(), seconds: z.number() })),
  elapsed_seconds: z.number(),
});

/** Turns the tool's arguments into a request. Throws INVALID_ARGUMENT for a size that is none. */
export function toCreateRequest(input: SpawnInput): CreateSessionRequest {
  const { repository, ref } = input;
  if (repository === undefined && ref !== undefined) {
    throw new AppError("REF_WITHOUT_REPOSITORY", "There is a ref but no repository.", {
      help: "Give both, or neither.",
    });
  }
  return {
    spec: create(SessionSpecSchema, {
      task: input.task,
      model: input.model ?? "",
      permissionMode: input.permission_mode ?? "",
      maxStepCount: input.max_steps ?? 0,
      environment: input.environment ?? {},
      budget: create(BudgetSchema, {
        maxCostUsd: input.max_cost_usd ?? 0,
        maxTokenCount: BigInt(input.max_tokens ?? 0),
        maxRequestCount: input.max_requests ?? 0,
      }),
      ...((input.egress !== undefined || input.allowed_destinations !== undefined) && {
        egress: create(EgressSpecSchema, {
          mode: EGRESS_MODES[input.egress ?? "unspecified"],
          allowedDestinations: input.allowed_destinations ?? [],
        }),
      }),
      loadProjectSettings: input.load_project_settings ?? false,
      previousSessionId: input.continue_session ?? "",
      ...(repository !== undefined && {
        repository: create(RepositorySpecSchema, { uri: repository, ref: ref ?? "" }),
      }),
      ...(input.timeout_seconds !== undefined && { timeout: toDuration(input.timeout_seconds) }),
      ...(input.decision_timeout_seconds !== undefined && {
        decisionTimeout: toDuration(input.decision_timeout_seconds),
      }),
      ...(input.idle_timeout_seconds !== undefined && { idleTimeout: toDuration(input.idle_timeout_seconds) }),
    }),
    container: create(ContainerSpecSchema, {
      image: input.image ?? "",
      memoryBytes: BigInt(input.memory === undefined ? 0 : parseSize(input.memory)),
      ...(input.cpus !== undefined && { cpuCount: input.cpus }),
    }),
  };
}

const EGRESS_MODES = {
  unspecified: EgressSpec_Mode.UNSPECIFIED,
  none: EgressSpec_Mode.NONE,
  listed: EgressSpec_Mode.LISTED,
  open: EgressSpec_Mode.OPEN,
};

function toDuration(seconds: number) {
  if (!Number.isFinite(seconds) || Math.abs(seconds) > 1e9) {
    throw new AppError("TIMEOUT_INVALID", `The timeout is ${seconds} s.`, {
      help: "Use 1 to 86400 s.",
    });
  }
  return durationFromMs(Math.round(seconds * 1000));
}

const UNITS: Record<string, number> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** Reads a size as Docker writes it: "512m", "2g", "1.5GiB", or bytes. */
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
