/** Start of a conversation. */
export interface Opening {
  /** Id that Claude Code gives the conversation, or resumes. */
  conversationId: string;
  /** Fate of the conversation before: it is resumed, it is lost, or it was another one's. Absent: there was none. */
  earlier?: "resumed" | "lost" | "other";
}

const NOTES = {
  resumed: "This conversation goes on in a new container.",
  lost: "This session continues an earlier one, whose conversation could not be restored.",
  other: "This session starts from the result of another one.",
};
const LEFT =
  "The working tree has the changes made so far, uncommitted. Commits made then, files that git ignores, installed " +
  "programs and running processes are gone.";

/**
 * Returns what Claude cannot know of where it is, to be said with the first message. Undefined: nothing. The system
 * prompt would be no place for it: a resumed conversation keeps the one that it had.
 */
export function openingNote({ earlier }: Opening): string | undefined {
  return earlier && `<system-reminder>\n${NOTES[earlier]} ${LEFT}\n</system-reminder>`;
}
