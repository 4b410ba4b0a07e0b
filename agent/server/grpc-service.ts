import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type * as grpc from "@grpc/grpc-js";
import type { EventEmitter } from "node:events";
import { AppError, encodeDataMessage, isDataMessage } from "../../proto/index.ts";
import { statusOf } from "./status.ts";

/** Context of a call for its handler. */
export interface CallContext {
  /** Signal that is aborted when the caller has gone, and when the call is over. */
  readonly signal: AbortSignal;
}

type Handler<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, context: CallContext) => Promise<MessageInitShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, context: CallContext) => AsyncIterable<MessageInitShape<O>>
      : M extends DescMethodBiDiStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageShape<I>>, context: CallContext) => AsyncIterable<MessageInitShape<O>>
        : M extends DescMethodClientStreaming<infer I, infer O>
          ? (requests: AsyncIterable<MessageShape<I>>, context: CallContext) => Promise<MessageInitShape<O>>
          : never;

/** Handlers of a service, by method. */
export type Handlers<S extends DescService> = { [K in keyof S["method"]]: Handler<S["method"][K]> };

/** Service as `Server.addService` of grpc-js takes it. */
export interface GrpcService {
  readonly descriptor: DescService;
  readonly definition: grpc.ServiceDefinition;
  readonly implementation: grpc.UntypedServiceImplementation;
}

/** Calls of a service about its errors. */
export interface GrpcServiceOptions {
  /** Called with each error that is no AppError. The caller only sees INTERNAL. */
  onUnexpectedError(error: unknown, method: string): void;
}

type Init = MessageInitShape<DescMessage>;
type AnyHandler = (request: unknown, context: CallContext) => Promise<Init> | AsyncIterable<Init>;
type StreamingCall = grpc.ServerWritableStream<Message, Message> | grpc.ServerDuplexStream<Message, Message>;

/**
 * Makes a service for grpc-js of its protobuf-es description and its handlers. A stream has at most one message under
 * way: the handler is asked for the next one when the one before has left. A slow caller so slows its handler, and
 * nothing piles up.
 */
export function grpcService<S extends DescService>(
  descriptor: S,
  handlers: Handlers<S>,
  options: GrpcServiceOptions,
): GrpcService {
  const definition: Record<string, grpc.MethodDefinition<Message, Message>> = {};
  const implementation: grpc.UntypedServiceImplementation = {};
  for (const method of descriptor.methods) {
    const handler = (handlers as Record<string, AnyHandler>)[method.localName]!;
    definition[method.localName] = methodDefinition(method);
    implementation[method.localName] = handleCall(method, handler, options);
  }
  return { descriptor, definition, implementation };
}

function methodDefinition(method: DescMethod): grpc.MethodDefinition<Message, Message> {
  const serialize = (schema: DescMessage) => (message: Message) => {
    if (isDataMessage(schema)) return encodeDataMessage(schema, message as MessageInitShape<DescMessage>);
    const bytes = toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: serialize(method.input),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: serialize(method.output),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  };
}

function handleCall(method: DescMethod, handler: AnyHandler, options: GrpcServiceOptions): grpc.UntypedHandleCall {
  const toStatus = (error: unknown) => {
    if (error instanceof AppError) return statusOf(error);
    options.onUnexpectedError(error, method.name);
    return statusOf(new AppError("INTERNAL", "The agent failed to handle the call; its log says more."));
  };
  if (method.methodKind === "unary") {
    return (call: grpc.ServerUnaryCall<Message, Message>, respond: grpc.sendUnaryData<Message>) => {
      void withSignal(call, async (signal) => {
        const answer = await (handler(call.request, { signal }) as Promise<Init>);
        respond(null, create(method.output, answer));
      }).catch((error: unknown) => respond(toStatus(error)));
    };
  }
  if (method.methodKind === "client_streaming") {
    return (call: grpc.ServerReadableStream<Message, Message>, respond: grpc.sendUnaryData<Message>) => {
      void withSignal(call, async (signal) => {
        const answer = await (handler(readRequests(call, signal), { signal }) as Promise<Init>);
        respond(null, create(method.output, answer));
      }).catch((error: unknown) => respond(toStatus(error)));
    };
  }
  return (call: StreamingCall) => {
    void withSignal(call, async (signal) => {
      const request = "request" in call ? call.request : readRequests(call, signal);
      const send = sending(call, signal);
      for await (const message of handler(request, { signal }) as AsyncIterable<Init>) {
        await send(create(method.output, message));
      }
      call.end();
    }).catch((error: unknown) => {
      if (!call.cancelled) call.emit("error", toStatus(error));
    });
  };
}

/** Runs `body` with a signal that is aborted when the caller cancels, and at the end. */
async function withSignal(call: EventEmitter, body: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  const cancel = () => controller.abort(new AppError("CALL_CANCELED", "The caller has gone."));
  call.once("cancelled", cancel);
  try {
    await body(controller.signal);
  } finally {
    call.off("cancelled", cancel);
    cancel();
  }
}

/** Leaving the loop early must not destroy the call: its status would never be sent. */
async function* readRequests(
  call: grpc.ServerDuplexStream<Message, Message> | grpc.ServerReadableStream<Message, Message>,
  signal: AbortSignal,
): AsyncGenerator<Message> {
  try {
    yield* call.iterator({ destroyOnReturn: false }) as AsyncIterable<Message>;
  } catch (error) {
    // A caller that goes destroys the stream under the iterator.
    if (!signal.aborted) throw error;
  }
}

/** Returns what sends messages: it resolves when one has left, and rejects when the caller goes before. */
function sending(call: StreamingCall, signal: AbortSignal): (message: Message) => Promise<void> {
  let giveUp = (_reason: Error) => {};
  // Once, and not for each message: listeners of signals cost more than all else here.
  signal.addEventListener("abort", () => giveUp(signal.reason as Error), { once: true });
  return (message) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      giveUp = reject;
      call.write(message, () => resolve());
    });
}
