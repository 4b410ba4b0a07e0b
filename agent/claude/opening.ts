/** How a conversation begins. */
export interface Opening {
  conversationId: string;
  /** It is there already and goes on, or there was one that is lost. Absent: neither. */
  earlier?: "resumed" | "lost";
}

const NOTES = {
  resumed: "This conversation goes on in a new container.",
  lost: "This session continues an earlier one, whose conversation could not be restored.",
};
const LEFT =
  "The working tree has the changes made so far, uncommitted. Commits made then, files that git ignores, installed " +
  "programs and running processes are gone.";

/**
 * Returns what Claude would otherwise take for granted, to be said with the first message. (Not with the system
 * prompt: a resumed conversation keeps the one it had.) Undefined: nothing.
 */
export function openingNote({ earlier }: Opening): string | undefined {
  return earlier && `<system-reminder>\n${NOTES[earlier]} ${LEFT}\n</system-reminder>`;
}
