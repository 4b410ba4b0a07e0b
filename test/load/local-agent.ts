import type { CreateFakeAgent, FakeAgent } from "../../host/runtime/fake/fake-agent.ts";
import { EmittingAgent, type EmittingAgentOptions } from "./emitting-agent.ts";

/** Makes fake containers with an emitting agent each, in this process. */
export function localAgents(options: EmittingAgentOptions): CreateFakeAgent & { readonly agents: EmittingAgent[] } {
  const agents: EmittingAgent[] = [];
  const createAgent = (): FakeAgent => {
    const { promise: exited, resolve } = Promise.withResolvers<{ exitCode: number }>();
    const agent = new EmittingAgent(options);
    agents.push(agent);
    return {
      exited,
      serve: (stream) => agent.serve(stream),
      kill() {
        agent.kill();
        resolve({ exitCode: 137 });
      },
    };
  };
  return Object.assign(createAgent, { agents });
}
