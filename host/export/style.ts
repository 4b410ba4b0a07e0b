import { createHash } from "node:crypto";

/** Style of an exported session. */
export const STYLE = `
:root { color-scheme: light dark; --line: #8886; --dim: #666; --add: #1a7f3722; --del: #cf222e22; --mark: #7a3300; }
@media (prefers-color-scheme: dark) { :root { --dim: #aaa; --mark: #ffb366; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; border-bottom: 1px solid var(--line); }
pre { font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; margin: .3rem 0 .8rem; unicode-bidi: isolate; }
table { border-collapse: collapse; } th { text-align: left; font-weight: normal; color: var(--dim); padding-right: 1.5rem; vertical-align: top; white-space: nowrap; }
svg { width: 100%; height: 28px; display: block; } rect { fill: currentColor; } rect:nth-child(odd) { opacity: .35; } rect:nth-child(even) { opacity: .7; }
.feed { list-style: none; padding: 0; } .feed li { border-left: 3px solid var(--line); padding-left: .8rem; margin: .4rem 0; }
.feed .claude, .feed .user { border-color: currentColor; } .feed .failed { border-color: var(--mark); }
time, .note { color: var(--dim); font-size: .85em; } time { display: inline-block; min-width: 5em; }
details { border: 1px solid var(--line); border-radius: 6px; padding: .2rem .8rem; margin: .4rem 0; } .feed details { border: 0; padding: 0; display: inline-block; max-width: 100%; margin: 0; vertical-align: top; }
summary { cursor: pointer; }
.diff span { display: block; } .added { background: var(--add); } .deleted { background: var(--del); } .hunk, .head { color: var(--dim); }
.hidden { color: var(--mark); font: bold .8em ui-monospace, monospace; border: 1px solid; border-radius: 3px; padding: 0 .2em; unicode-bidi: isolate; }
`;

/** Policy of an exported session: nothing runs, nothing is fetched, nothing but its style counts. */
export const POLICY = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; base-uri 'none'; form-action 'none'`;
