/** So many words of the task are in the name of a branch. */
const MAX_WORDS = 5;
const MAX_CHARS = 40;

/** Returns the name of the branch for a session's result: claude/<first words of the task>-<end of the id>. */
export function branchName({ id, task }: { id: string; task: string }): string {
  const words = task
    .normalize("NFKD")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "")
    .slice(0, MAX_WORDS);
  let name = "";
  for (const word of words) if (name.length + word.length < MAX_CHARS) name += `${word}-`;
  return `claude/${name}${id.slice(-6).toLowerCase()}`;
}

/** Returns the subject of a commit with a task's result: the task on one line, cut to 72 characters. */
export function commitSubject(task: string): string {
  const line = task.replace(/\s+/g, " ").trim();
  if (line === "") return "Changes by Claude";
  return line.length <= 72 ? line : `${line.slice(0, 71).trimEnd()}…`;
}
