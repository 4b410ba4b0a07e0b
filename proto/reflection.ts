import { type DescFile, type DescMessage, type DescService, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { GRPC_CODES } from "./error-reasons.ts";
import { file_claudecluster_error_v1alpha1_error_info } from "./gen/claudecluster/error/v1alpha1/error_info_pb.ts";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "./gen/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflection as ServerReflectionV1alpha,
  type ServerReflectionRequest as RequestV1alpha,
  type ServerReflectionResponseSchema as ResponseV1alphaSchema,
} from "./gen/grpc/reflection/v1alpha/reflection_pb.ts";

/** Request to the gRPC reflection service, in version v1 or v1alpha: https://grpc.io/docs/guides/reflection */
export type ReflectionRequest = ServerReflectionRequest | RequestV1alpha;
/** Response of the reflection service. Both versions have the same fields. */
export type ReflectionResponse = MessageInitShape<typeof ServerReflectionResponseSchema> &
  MessageInitShape<typeof ResponseV1alphaSchema>;

/** Reflection service in both versions. */
export const REFLECTION_SERVICES = [ServerReflection, ServerReflectionV1alpha] as const;

/**
 * Returns the function that answers reflection requests about the given services and reflection itself. The official
 * package is not used: it reads .proto files at run time, and loses the imports.
 */
export function describeServices(
  described: readonly DescService[],
): (request: ReflectionRequest) => ReflectionResponse {
  const services = [...described, ...REFLECTION_SERVICES];
  const files = new Map<string, DescFile>();
  for (const service of services) addWithImports(service.file, files);
  // No service names it, but every failed call carries it: clients look it up to show it.
  addWithImports(file_claudecluster_error_v1alpha1_error_info, files);
  const symbols = new Map<string, DescFile>();
  for (const file of files.values()) for (const symbol of symbolsOf(file)) symbols.set(symbol, file);

  return ({ host, messageRequest: request }) => {
    switch (request.case) {
      case "listServices":
        return listServices(host, services);
      case "fileByFilename":
        return describe(host, request.value, files.get(request.value));
      case "fileContainingSymbol":
        return describe(host, request.value, symbols.get(request.value.replace(/^\./, "")));
      case "fileContainingExtension":
      case "allExtensionNumbersOfType":
        return refuse(host, GRPC_CODES.NOT_FOUND, "Nothing here has extensions.");
      case undefined:
        return refuse(host, GRPC_CODES.INVALID_ARGUMENT, "The request asks for nothing.");
      default:
        return request satisfies never;
    }
  };
}

function listServices(host: string, services: readonly DescService[]): ReflectionResponse {
  const service = services.map(({ typeName }) => ({ name: typeName }));
  return {
    validHost: host,
    messageResponse: { case: "listServicesResponse", value: { service } },
  } as ReflectionResponse;
}

/** Imports come along, so that no client has to ask again. */
function describe(host: string, name: string, file: DescFile | undefined): ReflectionResponse {
  if (file === undefined) return refuse(host, GRPC_CODES.NOT_FOUND, `There is no "${name}" here.`);
  const files = new Map<string, DescFile>();
  addWithImports(file, files);
  const fileDescriptorProto = [...files.values()].map((each) => toBinary(FileDescriptorProtoSchema, each.proto));
  const value = { fileDescriptorProto };
  return { validHost: host, messageResponse: { case: "fileDescriptorResponse", value } } as ReflectionResponse;
}

function refuse(host: string, errorCode: number, errorMessage: string): ReflectionResponse {
  const value = { errorCode, errorMessage };
  return { validHost: host, messageResponse: { case: "errorResponse", value } } as ReflectionResponse;
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
