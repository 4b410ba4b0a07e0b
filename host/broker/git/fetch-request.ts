const ID = "(?:[0-9a-f]{40}|[0-9a-f]{64})";
/** How a client may begin: https://git-scm.com/docs/protocol-v2 */
const HEAD = /^(?:command=(?:ls-refs|fetch)|(?:agent|session-id)=[\x21-\x7e]*|object-format=(?:sha1|sha256))$/;
/** What it may ask for of refs. */
const OF_REFS = /^(?:peel|symrefs|unborn|ref-prefix [\x21-\x7e\x80-\xff]{0,1000})$/;
/** And of objects: nothing that has the server look for commits by itself. */
const OF_OBJECTS = new RegExp(
  `^(?:done|thin-pack|no-progress|include-tag|ofs-delta|wait-for-done|deepen-relative|deepen \\d{1,10}|(?:have|shallow|want) ${ID})$`,
);
const MAX_PACKET_BYTES = 65_520;

/**
 * Returns why a request of git's protocol 2 is refused, undefined if it is not: it has to be one for refs, or for the
 * commits that are served. git itself gives out any object that it has, whatever its refs are.
 */
export function refuseFetch(body: Buffer, served: ReadonlySet<string>): string | undefined {
  const sections = readSections(body);
  if (sections === undefined) return "that is no request of git's protocol 2";
  const [head, args = []] = sections;
  const commands = head.filter((line) => line.startsWith("command="));
  if (commands.length !== 1 || !head.every((line) => HEAD.test(line))) return "that command is not served";
  const known = commands[0] === "command=fetch" ? OF_OBJECTS : OF_REFS;
  if (!args.every((line) => known.test(line))) return "that is more than a plain fetch asks for";
  const wanted = args.filter((line) => line.startsWith("want ")).map((line) => line.slice("want ".length));
  return wanted.every((id) => served.has(id)) ? undefined : "this session is served its own start and no other commit";
}

/** The lines before and after the delimiter of one request; undefined for what is none, or more than one. */
function readSections(body: Buffer): [string[], string[]?] | undefined {
  const sections: [string[], string[]?] = [[]];
  for (let at = 0; at + 4 <= body.length;) {
    const digits = body.toString("latin1", at, at + 4);
    const length = /^[0-9a-f]{4}$/i.test(digits) ? Number.parseInt(digits, 16) : NaN;
    if (length === 0) return at + 4 === body.length ? sections : undefined;
    if (length === 1 && sections.length === 1) {
      sections.push([]);
      at += 4;
      continue;
    }
    if (!(length > 4 && length <= MAX_PACKET_BYTES && at + length <= body.length)) return undefined;
    sections.at(-1)!.push(body.toString("latin1", at + 4, at + length).replace(/\n$/, ""));
    at += length;
  }
  return undefined;
}
