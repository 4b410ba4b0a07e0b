/**
 * Harmless faults of git objects, by the names that git's fsck gives them: those that real projects have in old history, and
 * files whose form git does not take, as a directory of their name. Whatever takes objects from elsewhere lets these pass,
 * whether it checks files out or only keeps them: what one takes, the next is to take too. All else, above all trees with
 * ".git" in them, is refused.
 */
export const HARMLESS_GIT_FAULTS: readonly string[] = [
  "badDate",
  "badDateOverflow",
  "badEmail",
  "badName",
  "badTimezone",
  "missingEmail",
  "missingNameBeforeEmail",
  "missingSpaceBeforeDate",
  "missingSpaceBeforeEmail",
  "multipleAuthors",
  "zeroPaddedDate",
  "zeroPaddedFilemode",
  "badFilemode",
  "missingTaggerEntry",
  "badTagName",
  "nulInCommit",
  "emptyName",
  "gitmodulesParse",
  "gitmodulesBlob",
  "gitattributesBlob",
  "gitattributesLarge",
  "gitattributesLineLength",
];
