import { bash, call, defineScenario, say } from "../scenario.ts";

/** The shell sees only ASCII: octal escapes make the bytes. */
const PRINT = String.raw`printf 'caf\351 \377\376 bell\007 \033[31mred\033[0m nul\000 back\b tab\t \342\200\256rtl\342\200\254 end\n'; printf 'err \200\n' >&2`;

const FILES = [
  String.raw`printf '\377\376\200 not utf-8\n' > not-utf8.txt`,
  String.raw`printf 'a\000b\n' > nul.bin`,
  String.raw`printf 'odd\n' > "$(printf 'odd \377 name.txt')"`,
  String.raw`printf 'two lines\n' > "$(printf 'new\nline.txt')"`,
  String.raw`printf 'quotes\n' > 'q"uo'\''te $HOME.txt'`,
  String.raw`printf 'dash\n' > ./-rf`,
  String.raw`printf 'accents\n' > "$(printf 'caf\303\251 \360\237\246\200.txt')"`,
  String.raw`ln -sf /etc/hostname link-out`,
  "ls -b",
];

export const invalidUtf8 = defineScenario({
  name: "invalid-utf8",
  summary:
    "Bash prints invalid UTF-8 and control characters, and creates files with such content, odd names (invalid UTF-8, newline, quotes, leading dash), and a symlink out of the tree.",
  steps: () => [
    call("I'll print some odd bytes.", bash(PRINT, "Print odd bytes")),
    call("And create odd files.", bash(FILES.join("; "), "Create odd files")),
    say("Odd bytes are printed and odd files are made."),
  ],
});
