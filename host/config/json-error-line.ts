const TOKEN =
  /[ \t\r\n]*([{}[\],:]|"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)?/y;

/** Returns the line, from 1, in which a text stops being JSON. The parser's messages do not always say it. */
export function jsonErrorLine(text: string): number {
  let token = "";
  let endOfToken = 0;
  const advance = () => {
    TOKEN.lastIndex = endOfToken;
    const [whole, found = ""] = TOKEN.exec(text)!;
    token = found;
    endOfToken += whole.length;
  };
  const take = (wanted: string) => token === wanted && (advance(), true);
  const members = (close: string, member: () => boolean): boolean => {
    if (take(close)) return true;
    do if (!member()) return false;
    while (take(","));
    return take(close);
  };
  const name = () => token.startsWith('"') && (advance(), true);
  const value = (): boolean => {
    if (take("{")) return members("}", () => name() && take(":") && value());
    if (take("[")) return members("]", value);
    return !["", "}", "]", ",", ":"].includes(token) && (advance(), true);
  };
  advance();
  value();
  return text.slice(0, endOfToken - token.length).split("\n").length;
}
