import * as z from "zod";
import { PERMISSION_MODES } from "../../proto/index.ts";
import { DECISION_POLICY_NAMES, EGRESS_NAMES, MAX_DESTINATIONS, toCreateRequest } from "../session/request-parts.ts";
import type { CreateSessionRequest } from "../session/sessions.ts";
import type { FoundRepository, RepositoryWish } from "../source/repository-source.ts";

/** More than anybody names one by one. */
const MAX_INCLUDED = 1000;
const MAX_USER_FILES = 100;

/** Schema of the arguments of `spawn_claude_container`. Unknown arguments are refused. */
export const spawnInputSchema = z.strictObject({
  task: z
    .string()
    .describe("What the Claude in the container is to do: complete, since it sees nothing of this conversation."),
  repository: z
    .string()
    .optional()
    .describe(
      'Directory of this machine, which goes in as it lies there; or http(s) URL to clone, or an address on a well-known site; or "none". Default: the repository that you are in.',
    ),
  ref: z
    .string()
    .optional()
    .describe("Of a URL: branch, tag or full commit id to start from. Default: the remote's HEAD."),
  include: z
    .array(z.string())
    .max(MAX_INCLUDED)
    .optional()
    .describe("Of a directory: files that go in although git ignores them, by their exact paths from there."),
  history: z
    .union([z.int32().min(1), z.literal("all")])
    .optional()
    .describe('Commits of history that are to be there, or "all". Default: 1.'),
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
    .enum(EGRESS_NAMES)
    .optional()
    .describe(
      "What the container may connect to beside the model and the repository. listed: package registries and what the host's user listed. open: every public host, where the host's user allows that. Default: what the host is set to, usually listed.",
    ),
  allowed_destinations: z
    .array(z.string())
    .max(MAX_DESTINATIONS)
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
  after: z
    .string()
    .optional()
    .describe(
      "Id of a session, also of one that still runs: start from its changes once it has succeeded, in a conversation of its own. If it does not succeed, this one fails.",
    ),
  setup: z
    .string()
    .optional()
    .describe(
      'Shell command that prepares the workspace before Claude starts, such as "npm ci". If it fails, so does the session, and nothing is spent. Default: what the user has configured for the repository. "": none.',
    ),
  setup_timeout_seconds: z.number().optional().describe("Time for setup. Default: 600."),
  check: z
    .string()
    .optional()
    .describe(
      'Shell command that judges the result in the container once Claude has finished, such as "npm test". The answer says whether it passed; the changes stay what they are.',
    ),
  check_timeout_seconds: z.number().optional().describe("Time for check. Default: 600."),
  json_schema: z
    .record(z.string(), z.unknown())
    // In words that clients which look for gaps in a schema know: it is meant.
    .meta({ additionalProperties: true })
    .optional()
    .describe("JSON Schema of an object that is to be the answer: checked, and if it is none, the session fails."),
  decision_timeout_seconds: z
    .number()
    .optional()
    .describe(
      "How long the session waits for a permission or an answer, before the permission is denied or the question is left to Claude. 0: nobody is asked. Default: 600.",
    ),
  decision_policy: z
    .enum(DECISION_POLICY_NAMES)
    .optional()
    .describe(
      "Who decides what the session asks for. person: a person by a form; where none can be asked, no, or as Claude thinks best. caller: you, by decide_permission and answer_question; no form is shown. Default: a person where one can be asked, otherwise you.",
    ),
  user_files: z
    .array(z.string())
    .max(MAX_USER_FILES)
    .optional()
    .describe(
      'Of the user\'s own Claude Code set-up, what counts in there too: "CLAUDE.md", "skills/<name>", "agents/<name>.md", "commands/<name>.md", or a directory such as "skills". Default: what the user has configured, usually nothing. []: none.',
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

/** Arguments of `spawn_claude_container`. */
export type SpawnInput = z.infer<typeof spawnInputSchema>;

/** What the tool's arguments say of the repository. */
export function toRepositoryWish(input: Omit<SpawnInput, "task">): RepositoryWish {
  const {
    repository,
    ref,
    include,
    history,
    user_files: userFiles,
    continue_session: previousSessionId,
    after,
  } = input;
  return {
    repository,
    ref,
    include,
    history,
    userFiles,
    continues: previousSessionId !== undefined || after !== undefined,
  };
}

/**
 * Returns the request that the tool's arguments make, with what was found for them. Throws an INVALID_ARGUMENT error for a size, a time or a ref that
 * cannot be meant.
 */
export function toSpawnRequest(
  input: SpawnInput,
  found: Pick<FoundRepository, "spec" | "userFiles"> & { traceParent?: string | undefined },
): CreateSessionRequest {
  return toCreateRequest({
    ...input,
    repository: found.spec,
    userFiles: found.userFiles,
    traceParent: found.traceParent,
    decisionPolicy: input.decision_policy,
    permissionMode: input.permission_mode,
    maxSteps: input.max_steps,
    maxCost: input.max_cost_usd,
    maxTokens: input.max_tokens,
    maxRequests: input.max_requests,
    allowedDestinations: input.allowed_destinations,
    loadProjectSettings: input.load_project_settings,
    previousSessionId: input.continue_session,
    afterSessionId: input.after,
    setupTimeout: input.setup_timeout_seconds,
    checkTimeout: input.check_timeout_seconds,
    timeout: input.timeout_seconds,
    decisionTimeout: input.decision_timeout_seconds,
    idleTimeout: input.idle_timeout_seconds,
    jsonSchema: input.json_schema && JSON.stringify(input.json_schema),
  });
}
