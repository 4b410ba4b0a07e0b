import { create } from "@bufbuild/protobuf";
import type { HostControl } from "../../host/control/host-service.ts";
import { CheckRuntimeResponseSchema } from "../../proto/control.ts";

/** A host that says nothing of itself and does not end. */
export const QUIET_HOST: HostControl = {
  info: () => Promise.resolve({}),
  metrics: () => Promise.resolve(""),
  checkRuntime: () => Promise.resolve(create(CheckRuntimeResponseSchema)),
  usage: () => [],
  page: { open: () => Promise.resolve(""), close: () => Promise.resolve() },
  stop: () => Promise.resolve(),
};
