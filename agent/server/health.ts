import type { DescService } from "@bufbuild/protobuf";
import { AppError } from "../../proto/index.ts";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../proto/gen/health/v1/health_pb.ts";
import { type GrpcService, grpcService, type GrpcServiceOptions } from "./grpc-service.ts";

/** Health of the agent as grpc.health.v1 tells it. Every service is SERVING until `stopServing`. */
export class HealthState {
  readonly #names: ReadonlySet<string>;
  readonly #stopping = new AbortController();

  constructor(services: readonly DescService[]) {
    this.#names = new Set(["", ...services.map((service) => service.typeName)]);
  }

  /** Makes every service NOT_SERVING, and tells those who watch. */
  stopServing(): void {
    this.#stopping.abort();
  }

  #status(name: string): Status {
    if (!this.#names.has(name)) return Status.SERVICE_UNKNOWN;
    return this.#stopping.signal.aborted ? Status.NOT_SERVING : Status.SERVING;
  }

  /** Returns the implementation of grpc.health.v1.Health. */
  service(options: GrpcServiceOptions): GrpcService {
    const status = (name: string) => this.#status(name);
    const names = this.#names;
    const stopping = this.#stopping.signal;
    return grpcService(
      Health,
      {
        async check({ service }) {
          if (status(service) === Status.SERVICE_UNKNOWN) {
            throw new AppError("SERVICE_UNKNOWN", `There is no service "${service}".`, {
              metadata: { service },
            });
          }
          return { status: status(service) };
        },
        async list() {
          return { statuses: Object.fromEntries([...names].map((name) => [name, { status: status(name) }])) };
        },
        async *watch({ service }, { signal }) {
          yield { status: status(service) };
          await aborted(AbortSignal.any([signal, stopping]));
          if (!signal.aborted) yield { status: status(service) };
        },
      },
      options,
    );
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
