// Collector of OTLP, in a process of its own: what it decodes is not the host's. It says its address.
import { startOtlpReceiver } from "../support/otlp-receiver.ts";

process.on("disconnect", () => process.exit());
process.send!((await startOtlpReceiver()).url);
