import { type MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { AppError } from "../../proto/index.ts";
import type { CheckRuntimeResponse, GetHostInfoResponseSchema, HostService } from "../../proto/control.ts";
import { callerOf } from "./caller.ts";

/** Control of the host, for the control API. */
export interface HostControl {
  info(): Promise<MessageInitShape<typeof GetHostInfoResponseSchema>>;
  /** Returns the host's metrics in the text format of Prometheus. */
  metrics(): Promise<string>;
  /** Checks the runtime, and the image of sessions that name none. */
  checkRuntime(options: { signal: AbortSignal }): Promise<CheckRuntimeResponse>;
  /** Begins to end the host and returns at once. Throws HOST_BUSY. */
  stop(options: { onlyWithoutLiveSessions: boolean }): Promise<void>;
}

/** Returns the implementation of HostService. */
export function hostService(host: HostControl): ServiceImpl<typeof HostService> {
  return {
    async getHostInfo(_request, context) {
      const info = await host.info();
      return callerOf(context.values).local ? info : { ...info, stateDirectory: "", storeProblem: "", processId: 0 };
    },
    checkRuntime: (_request, { signal }) => host.checkRuntime({ signal }),
    async stopHost({ onlyWithoutLiveSessions }, context) {
      if (!callerOf(context.values).local) {
        throw new AppError("CALLER_REMOTE", "Only callers on the host's private socket may end it.");
      }
      await host.stop({ onlyWithoutLiveSessions });
      return {};
    },
  };
}
