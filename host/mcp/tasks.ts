import {
  type CallToolResult,
  type InputRequests,
  type McpServer,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import { asAppError } from "../../proto/index.ts";
import { oneLine } from "../present/plain-text.ts";
import { clientAbilities, type ClientAbilities, TASKS } from "./client-abilities.ts";

/** Time between two looks that is proposed to clients (ms). */
const POLL_MS = 1_000;

/** What is always known of a task. */
export interface TaskFacts {
  /** Known to clients, who keep it: printable ASCII, as a header of HTTP takes it. */
  id: string;
  createdMs: number;
  updatedMs: number;
}

/** How a task stands. A tool that failed has completed; `failed` is an error of the protocol. */
export type TaskStatus =
  | { status: "working"; message: string }
  | { status: "input_required"; message: string; inputRequests: InputRequests }
  | { status: "completed"; result: CallToolResult }
  | { status: "failed"; message: string; error: { code: number; message: string } }
  | { status: "cancelled"; message: string };

/** Tasks by their ids. Each method throws an AppError of the kind NOT_FOUND where there is no such task. */
export interface Tasks {
  /** Returns a task as it is, for a client with these abilities. */
  get(taskId: string, abilities: ClientAbilities): Promise<TaskFacts & TaskStatus>;
  /** Takes answers to what a task has asked for. What is not asked for, or no more, is overlooked. */
  update(taskId: string, responses: Readonly<Record<string, unknown>>, abilities: ClientAbilities): Promise<void>;
  /** Takes the wish that a task ends. That one has ended is no error. */
  cancel(taskId: string): Promise<void>;
}

const taskParams = z.looseObject({ taskId: z.string() });
const result = z.looseObject({});

/** Adds the methods of the tasks extension: tasks/get, tasks/update and tasks/cancel. */
export function registerTasks(owner: McpServer, tasks: Tasks): void {
  const { server } = owner;
  server.registerCapabilities({ extensions: { [TASKS]: {} } });
  server.setRequestHandler("tasks/get", { params: taskParams, result }, ({ taskId }, context) =>
    answering(async () => {
      const abilities = requireTasks(owner, context);
      return onTheWire(await tasks.get(taskId, abilities));
    }),
  );
  server.setRequestHandler("tasks/update", { params: taskParams, result }, ({ taskId }, context) =>
    answering(async () => {
      const abilities = requireTasks(owner, context);
      // The SDK takes them out of the parameters of any request.
      await tasks.update(taskId, context.mcpReq.inputResponses ?? {}, abilities);
      return {};
    }),
  );
  server.setRequestHandler("tasks/cancel", { params: taskParams, result }, ({ taskId }, context) =>
    answering(async () => {
      requireTasks(owner, context);
      await tasks.cancel(taskId);
      return {};
    }),
  );
}

/** Returns the abilities of a client that polls tasks. Throws the protocol's error to one that does not. */
export function requireTasks(owner: McpServer, context: ServerContext): ClientAbilities {
  const abilities = clientAbilities(owner, context);
  if (abilities.tasks) return abilities;
  throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { extensions: { [TASKS]: {} } } });
}

/** Returns the answer that makes a task of a call. The task has to be there by now. */
export function taskAnswer(task: TaskFacts, message: string): CallToolResult {
  const answer = { resultType: "task", ...onTheWire({ ...task, status: "working", message }) };
  return answer as unknown as CallToolResult;
}

function onTheWire({ id, createdMs, updatedMs, ...status }: TaskFacts & TaskStatus): Record<string, unknown> {
  const { message, ...rest } = { message: undefined, ...status };
  return {
    taskId: id,
    ...rest,
    ...(message !== undefined && { statusMessage: message }),
    createdAt: isoTime(createdMs),
    lastUpdatedAt: isoTime(Math.max(createdMs, updatedMs)),
    // As long as what it is about.
    ttlMs: null,
    pollIntervalMs: POLL_MS,
  };
}

/** A time in ISO 8601; a client may have made up its own. */
function isoTime(ms: number): string {
  return new Date(Math.min(ms, 8.64e15)).toISOString();
}

async function answering<Result>(run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    const known = asAppError(error);
    if (known.kind === "NOT_FOUND") throw new ProtocolError(ProtocolErrorCode.InvalidParams, "There is no such task.");
    throw new ProtocolError(ProtocolErrorCode.InternalError, oneLine(known.toSentence()));
  }
}
