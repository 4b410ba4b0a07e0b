// The contract: generated messages, and the pure functions that say what they mean.
export * from "./gen/claudecluster/agent/v1alpha1/agent_service_pb.ts";
export * from "./gen/claudecluster/control/v1alpha1/container_spec_pb.ts";
export * from "./gen/claudecluster/error/v1alpha1/error_info_pb.ts";
export * from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";
export * from "./gen/claudecluster/session/v1alpha1/session_pb.ts";
export * from "./gen/claudecluster/session/v1alpha1/session_result_pb.ts";
export * from "./gen/claudecluster/session/v1alpha1/session_spec_pb.ts";
export * from "./app-error.ts";
export * from "./budgets.ts";
export * from "./cut.ts";
export * from "./decisions.ts";
export * from "./event-log.ts";
export * from "./fold.ts";
export * from "./patch-check.ts";
export * from "./repository-address.ts";
export * from "./session-rules.ts";
export * from "./turn-answers.ts";
