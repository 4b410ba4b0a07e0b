import type { ServiceImpl } from "@connectrpc/connect";
import { create } from "@bufbuild/protobuf";
import { type AgentService, AttachResponseSchema } from "../../proto/index.ts";

/** The calls of an agent whose session is over by the time that a host attaches, but for those that read what it left. */
export const ENDED_SESSION = {
  startSession: () => ({}),
  async *attach() {
    yield create(AttachResponseSchema, { response: { case: "hello", value: {} } });
    const events = [{ sequence: 2, event: { case: "sessionFinished" as const, value: {} } }];
    yield await Promise.resolve(create(AttachResponseSchema, { response: { case: "events", value: { events } } }));
  },
  async *acceptConnections(_request, { signal }) {
    yield { connectionId: "" };
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  },
  getSession: () => ({ session: { result: { outcome: { case: "success" as const, value: {} } } } }),
} satisfies Partial<ServiceImpl<typeof AgentService>>;
