import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AgentService } from "../proto/index.ts";

/** Reads and writes each message of the service once, so that a snapshot has what that needs. */
export function warmUp(): void {
  for (const { input, output } of AgentService.methods) {
    for (const schema of [input, output]) fromBinary(schema, toBinary(schema, create(schema)));
  }
}
