/** What stands in a secret's place: one word, so that what looks like a secret with it inside goes as a whole. */
export const MASK = "[secret-left-out]";

/** Secrets that are known by their looks, wherever they stand. */
const SECRETS = [
  /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g,
  /sk-ant-[A-Za-z0-9_-]{8,}/g,
  /\bsk-[A-Za-z0-9_-]{16,}/g,
  /\b(?:gh[opsur]_|github_pat_|glpat-|npm_|pypi-|xox[abeoprs]-)[A-Za-z0-9_-]{16,}/g,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /\bAIza[A-Za-z0-9_-]{30,}/g,
  // What it consists of is looked for from its first character alone: from each eyJ in it, a patch of these would take half an hour.
  /(?<![\w-])(?=[\w-]+\.eyJ[\w-]{10,}\.)[\w-]*eyJ[\w-]{10,}\.eyJ[\w-]+\.[\w-]*/g,
];
/** Secrets that are known by what stands before them, which stays. */
const NAMED = [
  /(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}/gi,
  /(\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s/:@"']{0,200}:)[^\s/@"']{1,500}(?=@)/gi,
  /((?:(?:api|access|secret|private|signing|encryption)[_-]?key|(?:auth|access|refresh|api|secret|session)[_-]?token|secret|password|passwd)["']?\s{0,5}[:=]\s{0,5}["']?)[^\s"',;]{6,}/gi,
  // Variables as files of settings and shells have them.
  /(\b[A-Z][A-Z0-9_]{0,80}(?:TOKEN|SECRET|PASSWORD|PASSWD|PASS|PWD|CREDENTIALS?|_KEY)(?:_[A-Z0-9]{1,20})?["']?(?:=|:\s{0,5})["']?)[^\s"',;]{6,}/g,
];

/** Returns a text in which what looks like a secret is left out: keys, tokens, passwords. What does not look like one stays. */
export function maskSecrets(text: string): string {
  let masked = text;
  for (const secret of SECRETS) masked = masked.replace(secret, MASK);
  for (const named of NAMED) masked = masked.replace(named, `$1${MASK}`);
  return masked;
}

/** Variables that hold a secret, by their names. */
const SECRET_VARIABLE = /(?:TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|_PWD|(?:^|_)(?:PASS|KEY))(?:_\d{1,3})?$/i;

/** Returns the values of variables that hold secrets, by the names of the variables. */
export function secretValues(variables: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(variables).flatMap(([name, value]) => (SECRET_VARIABLE.test(name) && value ? [value] : []));
}
