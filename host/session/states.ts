import { isFinal, Session_State } from "../../proto/index.ts";

const ALL = Object.values(Session_State).filter(
  (state): state is Session_State => typeof state === "number" && state !== Session_State.UNSPECIFIED,
);

/** The states of sessions that have not finished. */
export const LIVE_STATES: readonly Session_State[] = ALL.filter((state) => !isFinal(state));
/** The states that sessions end in. */
export const FINAL_STATES: readonly Session_State[] = ALL.filter(isFinal);
