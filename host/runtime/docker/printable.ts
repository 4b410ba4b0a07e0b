/** Text from a container, for people: without control characters, which a terminal would obey, and cut. */
export function printable(text: string, maxLength: number): string {
  const clean = text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "").trim();
  return clean.length <= maxLength ? clean : `${clean.slice(0, maxLength)}…`;
}
