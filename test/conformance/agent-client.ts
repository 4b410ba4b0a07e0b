import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { callFailed } from "./call-failed.ts";

/** What comes down a stream. Leaving the loop, or cancelling, ends the call. Failures are CallFailed. */
export interface Incoming<O extends DescMessage> extends AsyncIterable<MessageShape<O>> {
  cancel(): void;
}

/** A stream in both directions. */
export interface Exchange<I extends DescMessage, O extends DescMessage> extends Incoming<O> {
  /** Resolves when there is room for more. Ignored once the call is over. */
  send(message: MessageInitShape<I>): Promise<void>;
  /** Nothing more is said. */
  end(): void;
}

/**
 * A client of its own connection to one agent: grpc-js as it comes, and the generated descriptors.
 * Whoever made it closes it.
 */
export class AgentClient implements Disposable {
  readonly #client: grpc.Client;
  readonly #metadata = new grpc.Metadata();

  /** `target` is one of grpc-js, such as "unix:/path". */
  constructor(target: string, { token }: { token?: string | undefined } = {}) {
    this.#client = new grpc.Client(target, grpc.credentials.createInsecure(), {
      // Clients of one process would otherwise share a connection.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
    });
    if (token !== undefined) this.#metadata.set("authorization", `Bearer ${token}`);
  }

  /** Calls a method that has one answer. */
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I> = {} as MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    const { path, serialize, deserialize } = wire(method);
    const message = create(method.input, request);
    return answer((options, done) => {
      this.#client.makeUnaryRequest(path, serialize, deserialize, message, this.#metadata, options, done);
    });
  }

  /** Calls a method that has one answer to many messages. */
  upload<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    messages: Iterable<MessageInitShape<I>>,
  ): Promise<MessageShape<O>> {
    const { path, serialize, deserialize } = wire(method);
    return answer((options, done) => {
      const call = this.#client.makeClientStreamRequest(path, serialize, deserialize, this.#metadata, options, done);
      for (const message of messages) call.write(create(method.input, message));
      call.end();
    });
  }

  /** Calls a method that answers with a stream. Nothing is read before somebody iterates. */
  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I> = {} as MessageInitShape<I>,
  ): Incoming<O> {
    const { path, serialize, deserialize } = wire(method);
    const message = create(method.input, request);
    return incoming(this.#client.makeServerStreamRequest(path, serialize, deserialize, message, this.#metadata));
  }

  /** Opens a stream in both directions. */
  exchange<I extends DescMessage, O extends DescMessage>(method: DescMethodBiDiStreaming<I, O>): Exchange<I, O> {
    const { path, serialize, deserialize } = wire(method);
    const call = this.#client.makeBidiStreamRequest(path, serialize, deserialize, this.#metadata);
    return {
      ...incoming<O>(call),
      send: (message) =>
        new Promise((resolve) => {
          if (call.writableEnded || call.destroyed) return resolve();
          call.write(create(method.input, message), () => resolve());
        }),
      end: () => call.end(),
    };
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** An agent answers at once, but a container may still be starting on a busy machine. */
const UNARY_MS = 30_000;

function answer<T>(
  call: (options: grpc.CallOptions, done: (error: grpc.ServiceError | null, answer?: T) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const done = (error: grpc.ServiceError | null, answer?: T) =>
      error === null ? resolve(answer!) : reject(callFailed(error));
    call({ deadline: Date.now() + UNARY_MS }, done);
  });
}

function wire<I extends DescMessage, O extends DescMessage>(method: DescMethod & { input: I; output: O }) {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    serialize: (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
    deserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
  };
}

function incoming<O extends DescMessage>(call: grpc.ClientReadableStream<MessageShape<O>>): Incoming<O> {
  // The one who iterates hears of it; a call that nobody reads may fail unheard.
  call.on("error", () => {});
  return {
    cancel: () => call.cancel(),
    async *[Symbol.asyncIterator]() {
      try {
        for await (const message of call) yield message as MessageShape<O>;
      } catch (error) {
        throw callFailed(error);
      } finally {
        call.cancel();
      }
    },
  };
}
