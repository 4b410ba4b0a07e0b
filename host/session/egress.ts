import { AppError, EgressSpec_Mode, type SessionSpec } from "../../proto/index.ts";
import type { EgressRules } from "../broker/egress-rules.ts";

/** Bytes that one session may move by default, both ways together: more than any build downloads. */
export const MAX_EGRESS_BYTES = 16 * 1024 ** 3;

/** Egress that the user of the host grants sessions, beside the model and their repository. */
export interface EgressConfig {
  /** Most that a session may have: nothing, listed destinations, or every public host if it asks for that. */
  mode: "none" | "listed" | "open";
  /** Public destinations, as "host:port". */
  allowed: readonly string[];
  /** Destinations that may be on the user's own network, as "host:port". */
  allowedPrivate: readonly string[];
}

/** Checks that a session wants no more egress than the host gives. Throws EGRESS_FORBIDDEN. */
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

/**
 * Returns the rules for a session's connections, git's own aside. Nothing is allowed where session or host says none, every
 * public host where both say open. Otherwise the destinations are those that either lists.
 */
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
