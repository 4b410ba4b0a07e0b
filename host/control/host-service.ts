import { type MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { AppError, cutChars } from "../../proto/index.ts";
import type { CheckRuntimeResponse, GetHostInfoResponseSchema, HostService, UsageSum } from "../../proto/control.ts";
import type { UsageFilter } from "../store/session-store.ts";
import { callerOf, requireSocket } from "./caller.ts";

/** Sums of usage in one message. */
const SUMS = 500;

/** Control of the host, for the control API. */
export interface HostControl {
  info(): Promise<MessageInitShape<typeof GetHostInfoResponseSchema>>;
  /** Returns the host's metrics in the text format of Prometheus. */
  metrics(): Promise<string>;
  /** Checks the runtime, and the image of sessions that name none. */
  checkRuntime(options: { signal: AbortSignal }): Promise<CheckRuntimeResponse>;
  /** Returns sums of what sessions have used of the model. */
  usage(filter: UsageFilter): UsageSum[];
  /** The page: `open` returns an address that lets one browser in, `close` signs out all of them. */
  page: { open(): Promise<string>; close(): Promise<void> };
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
    async *getUsage({ firstDay, lastDay, dimensions }) {
      for (const day of [firstDay, lastDay]) requireDay(day);
      const days = { ...(firstDay !== "" && { firstDay }), ...(lastDay !== "" && { lastDay }) };
      const sums = host.usage({ by: dimensions, ...days });
      for (let at = 0; at < sums.length; at += SUMS) yield await Promise.resolve({ sums: sums.slice(at, at + SUMS) });
    },
    async stopHost({ onlyWithoutLiveSessions }, context) {
      requireSocket(context.values, "end it");
      await host.stop({ onlyWithoutLiveSessions });
      return {};
    },
    async openPage(_request, context) {
      requireSocket(context.values, "open its page");
      return { url: await host.page.open() };
    },
    async closePage(_request, context) {
      requireSocket(context.values, "close its page");
      await host.page.close();
      return {};
    },
  };
}

function requireDay(day: string): void {
  if (day === "" || /^\d{4}-\d\d-\d\d$/.test(day)) return;
  throw new AppError("DAY_INVALID", `"${cutChars(day, 40)}" is no day.`, { help: "Write it as 2026-11-23, in UTC." });
}
