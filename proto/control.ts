// The control API's messages. Apart from the other barrel, since many names are those of the agent's.
export * from "./gen/claudecluster/control/v1alpha1/directory_service_pb.ts";
export * from "./gen/claudecluster/control/v1alpha1/host_service_pb.ts";
export * from "./gen/claudecluster/control/v1alpha1/session_service_pb.ts";
