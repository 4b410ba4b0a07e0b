import {
  inputRequired,
  type McpServer,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import { asAppError, isFinal, type Session } from "../../proto/index.ts";
import { oneLine } from "../present/plain-text.ts";
import { comeTo, shortId } from "../present/status-line.ts";
import { clientAbilities, TASKS } from "./client-abilities.ts";
import { stateName } from "../present/session-summary.ts";
import { decisionForm, formKey } from "./decision-form.ts";
import { taskFacts } from "./task-facts.ts";
import { readWaitId, type Wait } from "./wait.ts";
import { CALL_CANCELED, type Waits, type WaitState } from "./waits.ts";

/** A client that has not looked for so long is taken to be away (ms). */
const AWAY_MS = 30_000;
/** Most that is said of one session (UTF-16 units). */
const LINE_CHARS = 180;

const taskParams = z.looseObject({ taskId: z.string() });
const updateParams = z.looseObject({ taskId: z.string(), inputResponses: z.record(z.string(), z.unknown()) });
const result = z.looseObject({});

/** Adds the methods of the tasks extension: tasks/get, tasks/update and tasks/cancel. A task is a wait, and lives as long as its sessions. */
export function registerTasks(owner: McpServer, waits: Waits): void {
  const { server } = owner;
  server.registerCapabilities({ extensions: { [TASKS]: {} } });
  const read = (context: ServerContext, taskId: string) => {
    const abilities = clientAbilities(owner, context);
    if (!abilities.tasks) {
      const requiredCapabilities = { extensions: { [TASKS]: {} } };
      throw new MissingRequiredClientCapabilityError({ requiredCapabilities });
    }
    const wait = readWaitId(taskId);
    if (wait === undefined) throw unknownTask();
    return { abilities, wait };
  };
  server.setRequestHandler("tasks/get", { params: taskParams, result }, ({ taskId }, context) =>
    knowing(async () => {
      const { abilities, wait } = read(context, taskId);
      return describe(waits, wait, await waits.look(wait, abilities));
    }),
  );
  server.setRequestHandler("tasks/update", { params: updateParams, result }, ({ taskId, inputResponses }, context) =>
    knowing(async () => {
      const { abilities, wait } = read(context, taskId);
      await waits.look(wait, abilities);
      await waits.take(wait, inputResponses);
      return {};
    }),
  );
  server.setRequestHandler("tasks/cancel", { params: taskParams, result }, ({ taskId }, context) =>
    knowing(async () => {
      const { abilities, wait } = read(context, taskId);
      const { over } = await waits.look(wait, abilities);
      if (!over && wait.kind === "spawn") await waits.cancel(wait);
      return {};
    }),
  );
}

async function describe(
  waits: Waits,
  wait: Wait,
  { sessions, over, asked }: WaitState,
): Promise<Record<string, unknown>> {
  const facts = taskFacts(wait, sessions);
  if (asked.length > 0) {
    for (const { session } of asked) waits.presence.keep(session, AWAY_MS);
    const forms = asked.map(({ session, decision }) => {
      const form = inputRequired.elicit(decisionForm(session, decision));
      return [formKey(session.id, decision.request.requestId), form] as const;
    });
    return { ...facts, status: "input_required", inputRequests: Object.fromEntries(forms) };
  }
  if (!over) {
    const live = sessions.filter(({ state }) => !isFinal(state));
    const lines = live.map((session) => {
      const progress = waits.presence.keep(session, AWAY_MS);
      const doing = progress.lines.at(-1) ?? stateName(session.state);
      return oneLine(`${[shortId(session.id), ...comeTo(session)].join(" ")}: ${doing}`, LINE_CHARS);
    });
    return { ...facts, status: "working", statusMessage: lines.join(" · ") };
  }
  if (sessions.every(isCanceledByCall)) return { ...facts, status: "cancelled", statusMessage: CALL_CANCELED };
  return { ...facts, status: "completed", result: await waits.result(wait) };
}

function isCanceledByCall({ result: ended }: Session): boolean {
  return ended?.outcome.case === "cancellation" && ended.outcome.value.reason === CALL_CANCELED;
}

function unknownTask(): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InvalidParams, "There is no such task.");
}

/** A task whose sessions are not known is not known. */
async function knowing<Result>(run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    const known = asAppError(error);
    if (known.kind === "NOT_FOUND") throw unknownTask();
    throw new ProtocolError(ProtocolErrorCode.InternalError, oneLine(known.toSentence()));
  }
}
