import type { DescService } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { AppError, cutChars } from "../../proto/index.ts";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../proto/gen/health/v1/health_pb.ts";
import { describeServices, REFLECTION_SERVICES, type ReflectionRequest } from "../../proto/reflection.ts";

/** Adds grpc.health.v1 and both versions of server reflection for the given services. */
export function addStandardServices(
  router: ConnectRouter,
  services: readonly DescService[],
  options: { closing: AbortSignal },
): void {
  const { closing } = options;
  const names = new Set(["", ...services.map(({ typeName }) => typeName)]);
  const status = (service: string) => {
    if (!names.has(service)) return Status.SERVICE_UNKNOWN;
    return closing.aborted ? Status.NOT_SERVING : Status.SERVING;
  };
  router.service(Health, {
    check({ service }) {
      if (names.has(service)) return { status: status(service) };
      throw new AppError("SERVICE_UNKNOWN", `There is no service "${cutChars(service, 100)}".`);
    },
    list: () => ({ statuses: Object.fromEntries([...names].map((name) => [name, { status: status(name) }])) }),
    async *watch({ service }, { signal }) {
      yield { status: status(service) };
      await aborted(AbortSignal.any([signal, closing]));
      if (!signal.aborted) yield { status: status(service) };
    },
  });
  const answer = describeServices([...services, Health]);
  async function* serverReflectionInfo(requests: AsyncIterable<ReflectionRequest>) {
    for await (const request of requests) yield answer(request);
  }
  for (const service of REFLECTION_SERVICES) router.service(service, { serverReflectionInfo });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
