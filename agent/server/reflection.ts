import { type DescFile, type DescMessage, type DescService, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "../../proto/gen/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflection as ServerReflectionV1alpha,
  type ServerReflectionRequest as RequestV1alpha,
  type ServerReflectionResponseSchema as ResponseV1alphaSchema,
} from "../../proto/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { type GrpcService, grpcService, type GrpcServiceOptions } from "./grpc-service.ts";

type Request = ServerReflectionRequest | RequestV1alpha;
/** The messages of both versions have the same fields. */
type Response = MessageInitShape<typeof ServerReflectionResponseSchema> &
  MessageInitShape<typeof ResponseV1alphaSchema>;

/**
 * Server reflection for the given services and for itself, in both versions. Our own, since the
 * official package reads .proto files at run time and loses the imports of what it describes.
 */
export function reflectionServices(described: readonly DescService[], options: GrpcServiceOptions): GrpcService[] {
  const services = [...described, ServerReflection, ServerReflectionV1alpha];
  const files = new Map<string, DescFile>();
  for (const service of services) addWithImports(service.file, files);
  const symbols = new Map<string, DescFile>();
  for (const file of files.values()) for (const symbol of symbolsOf(file)) symbols.set(symbol, file);

  function answer({ host, messageRequest: request }: Request): Response {
    switch (request.case) {
      case "listServices":
        return listServices(host, services);
      case "fileByFilename":
        return describe(host, request.value, files.get(request.value));
      case "fileContainingSymbol":
        return describe(host, request.value, symbols.get(request.value.replace(/^\./, "")));
      case "fileContainingExtension":
      case "allExtensionNumbersOfType":
        return refuse(host, grpc.status.NOT_FOUND, "Nothing here has extensions.");
      case undefined:
        return refuse(host, grpc.status.INVALID_ARGUMENT, "The request asks for nothing.");
      default:
        return request satisfies never;
    }
  }

  async function* serverReflectionInfo(requests: AsyncIterable<Request>): AsyncGenerator<Response> {
    for await (const request of requests) yield answer(request);
  }

  return [
    grpcService(ServerReflection, { serverReflectionInfo }, options),
    grpcService(ServerReflectionV1alpha, { serverReflectionInfo }, options),
  ];
}

function listServices(host: string, services: readonly DescService[]): Response {
  const service = services.map(({ typeName }) => ({ name: typeName }));
  return { validHost: host, messageResponse: { case: "listServicesResponse", value: { service } } } as Response;
}

/** Imports come along, so that no client has to ask again. */
function describe(host: string, name: string, file: DescFile | undefined): Response {
  if (file === undefined) return refuse(host, grpc.status.NOT_FOUND, `There is no "${name}" here.`);
  const files = new Map<string, DescFile>();
  addWithImports(file, files);
  const fileDescriptorProto = [...files.values()].map((each) => toBinary(FileDescriptorProtoSchema, each.proto));
  const value = { fileDescriptorProto };
  return { validHost: host, messageResponse: { case: "fileDescriptorResponse", value } } as Response;
}

function refuse(host: string, errorCode: grpc.status, errorMessage: string): Response {
  const value = { errorCode, errorMessage };
  return { validHost: host, messageResponse: { case: "errorResponse", value } } as Response;
}

/** The file itself comes first. */
function addWithImports(file: DescFile, files: Map<string, DescFile>): void {
  const name = `${file.name}.proto`;
  if (files.has(name)) return;
  files.set(name, file);
  for (const imported of file.dependencies) addWithImports(imported, files);
}

function symbolsOf(file: DescFile): string[] {
  const services = file.services.flatMap((service) => [
    service.typeName,
    ...service.methods.map((method) => `${service.typeName}.${method.name}`),
  ]);
  return [...services, ...file.enums.map(({ typeName }) => typeName), ...file.messages.flatMap(symbolsOfMessage)];
}

function symbolsOfMessage(message: DescMessage): string[] {
  const { typeName, nestedEnums, nestedMessages } = message;
  return [typeName, ...nestedEnums.map((each) => each.typeName), ...nestedMessages.flatMap(symbolsOfMessage)];
}
