import type { DescService } from "@bufbuild/protobuf";
import {
  describeServices,
  REFLECTION_SERVICES,
  type ReflectionRequest,
  type ReflectionResponse,
} from "../../proto/reflection.ts";
import { type GrpcService, grpcService, type GrpcServiceOptions } from "./grpc-service.ts";

/** Returns the reflection service in both versions, for the given services and itself. */
export function reflectionServices(described: readonly DescService[], options: GrpcServiceOptions): GrpcService[] {
  const answer = describeServices(described);
  async function* serverReflectionInfo(requests: AsyncIterable<ReflectionRequest>): AsyncGenerator<ReflectionResponse> {
    for await (const request of requests) yield answer(request);
  }
  return REFLECTION_SERVICES.map((service) => grpcService(service, { serverReflectionInfo }, options));
}
