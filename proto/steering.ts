import { create } from "@bufbuild/protobuf";
import { AppError, asAppError } from "./app-error.ts";
import { cutChars } from "./cut.ts";
import {
  type AttachRequest,
  type AttachStart,
  AttachStart_Role as Role,
  type RequestRefused,
  RequestRefusedSchema,
} from "./gen/claudecluster/agent/v1alpha1/agent_service_pb.ts";

const MAX_REFUSED_ID_LENGTH = 128;
/** Requests of the owner alone. */
const OWNERS: ReadonlySet<string> = new Set(["acknowledge", "audience"]);

/** Message of a caller of Attach: the agent's, or the control API's, which has all but acknowledge. */
interface SteeringMessage {
  request: AttachRequest["request"];
}

/** Actions that a caller on Attach may ask for, as far as its role permits. */
export type Steering<M extends SteeringMessage> = Exclude<
  M["request"],
  { case: "attach" } | { case: undefined } | undefined
>;

/** Reads the first message of an Attach. Returns it, and the messages that follow. Throws ATTACH_EXPECTED. */
export async function readAttachStart<M extends SteeringMessage>(
  messages: AsyncIterable<M>,
): Promise<{ start: AttachStart; rest: AsyncIterable<M> }> {
  const iterator = messages[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done !== true && first.value.request.case === "attach") {
    return { start: first.value.request.value, rest: { [Symbol.asyncIterator]: () => iterator } };
  }
  throw new AppError("ATTACH_EXPECTED", "The first message of Attach must be attach.");
}

/**
 * Does what a caller asks for, one request after the other, and yields the refusals. Ends with the caller's messages. `onDone` is
 * called with each request, and "ok" or the reason of its refusal.
 */
export async function* steer<M extends SteeringMessage>(
  messages: AsyncIterable<M>,
  options: {
    role: Role;
    signal: AbortSignal;
    obey: (request: Steering<M>) => Promise<void> | void;
    onDone?: (request: M["request"], outcome: string) => void;
  },
): AsyncGenerator<{ case: "requestRefused"; value: RequestRefused }> {
  const { role, signal, obey, onDone } = options;
  for await (const { request } of messages) {
    if (signal.aborted) return;
    try {
      await obey(permitted<M>(request, role));
      onDone?.(request, "ok");
    } catch (error) {
      const known = asAppError(error);
      onDone?.(request, known.reason);
      const refused = { reason: known.reason, message: known.toSentence(), refusedId: idOf(request) };
      yield { case: "requestRefused", value: create(RequestRefusedSchema, refused) };
    }
  }
}

/** Throws ROLE_INSUFFICIENT, ATTACHED_ALREADY, REQUEST_UNKNOWN. */
function permitted<M extends SteeringMessage>(request: M["request"], role: Role): Steering<M> {
  switch (request.case) {
    case undefined:
      throw new AppError("REQUEST_UNKNOWN", "The request holds nothing that is known here.", {
        help: "GetAgentInfo and GetHostInfo say which version this is.",
      });
    case "attach":
      throw new AppError("ATTACHED_ALREADY", "This stream is attached already.");
    default:
      checkRole(role, request.case);
      return request as Steering<M>;
  }
}

function checkRole(role: Role, request: string): void {
  if (role === Role.OWNER || (role === Role.CONTROLLER && !OWNERS.has(request))) return;
  const name = role === Role.CONTROLLER ? "A controller" : "An observer";
  throw new AppError("ROLE_INSUFFICIENT", `${name} may not send ${request}.`, {
    metadata: { role: name, request },
    help: OWNERS.has(request) ? "Attach as owner." : "Attach as controller.",
  });
}

/** What names a request to whoever made it. */
function idOf(request: SteeringMessage["request"]): string {
  switch (request.case) {
    case "userMessage":
      return cutChars(request.value.messageId, MAX_REFUSED_ID_LENGTH);
    case "permissionDecision":
    case "answer":
      return cutChars(request.value.requestId, MAX_REFUSED_ID_LENGTH);
    default:
      return "";
  }
}
