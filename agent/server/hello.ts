import { create } from "@bufbuild/protobuf";
import { type Hello, HelloSchema } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import type { AgentSession } from "../session/session.ts";

/** Returns the first message of every stream about a session. */
export function helloOf(core: AgentCore, session: AgentSession): { case: "hello"; value: Hello } {
  const { instanceId } = core;
  return { case: "hello", value: create(HelloSchema, { session: session.snapshot(), instanceId }) };
}
