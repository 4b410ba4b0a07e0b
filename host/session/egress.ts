import { AppError, EgressSpec_Mode, type SessionSpec } from "../../proto/index.ts";
import type { EgressRules } from "../broker/egress-rules.ts";

/** What one session may move unless the host is set to less: more than any build downloads. */
export const MAX_EGRESS_BYTES = 16 * 1024 ** 3;

/** What the user of the host lets sessions reach, beside the model and their repository. */
export interface EgressConfig {
  /** The widest that a session may have: nothing, the listed destinations, or every public host if it asks for that. */
  mode: "none" | "listed" | "open";
  /** "host:port", public. */
  allowed: readonly string[];
  /** "host:port" that may be on the user's own network. */
  allowedPrivate: readonly string[];
}

/** Throws EGRESS_FORBIDDEN where a session wants more than the host gives. */
export function checkEgress({ egress }: SessionSpec, { mode }: EgressConfig): void {
  if (egress === undefined || mode === "open") return;
  const wantsList = egress.mode === EgressSpec_Mode.LISTED || egress.allowedDestinations.length > 0;
  if (egress.mode !== EgressSpec_Mode.OPEN && !(wantsList && mode === "none")) return;
  const asked = [
    ...(egress.mode === EgressSpec_Mode.UNSPECIFIED ? [] : ["egress"]),
    ...(egress.allowedDestinations.length === 0 ? [] : ["the allowed destinations"]),
  ];
  throw new AppError("EGRESS_FORBIDDEN", `The host gives sessions no more than "${mode}" connections.`, {
    help: `Leave out ${asked.join(" and ")}, or set "egress" in the host's config.json to what is wanted.`,
    metadata: { mode },
  });
}

/** Returns where a session's connections may go, beside git's own. */
export function egressRules({ egress }: SessionSpec, config: EgressConfig): EgressRules {
  const mode = egress?.mode ?? EgressSpec_Mode.UNSPECIFIED;
  if (mode === EgressSpec_Mode.NONE || config.mode === "none") {
    return { open: false, allowed: new Set(), allowedPrivate: new Set() };
  }
  return {
    open: mode === EgressSpec_Mode.OPEN && config.mode === "open",
    allowed: new Set([...config.allowed, ...(egress?.allowedDestinations ?? [])]),
    allowedPrivate: new Set(config.allowedPrivate),
  };
}
