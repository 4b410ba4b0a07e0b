import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import cpp from "highlight.js/lib/languages/cpp";
import csharp from "highlight.js/lib/languages/csharp";
import css from "highlight.js/lib/languages/css";
import dockerfile from "highlight.js/lib/languages/dockerfile";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import kotlin from "highlight.js/lib/languages/kotlin";
import makefile from "highlight.js/lib/languages/makefile";
import markdown from "highlight.js/lib/languages/markdown";
import php from "highlight.js/lib/languages/php";
import protobuf from "highlight.js/lib/languages/protobuf";
import python from "highlight.js/lib/languages/python";
import ruby from "highlight.js/lib/languages/ruby";
import rust from "highlight.js/lib/languages/rust";
import scss from "highlight.js/lib/languages/scss";
import sql from "highlight.js/lib/languages/sql";
import swift from "highlight.js/lib/languages/swift";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

/** The languages, each with the names and ends of names of its files. */
const LANGUAGES = {
  bash: [bash, "sh bash zsh bashrc profile"],
  cpp: [cpp, "c cc cpp cxx h hh hpp hxx ino"],
  csharp: [csharp, "cs"],
  css: [css, "css"],
  dockerfile: [dockerfile, "dockerfile containerfile"],
  go: [go, "go"],
  ini: [ini, "ini toml cfg conf properties editorconfig gitconfig"],
  java: [java, "java"],
  javascript: [javascript, "js mjs cjs jsx"],
  json: [json, "json jsonc json5 jsonl webmanifest"],
  kotlin: [kotlin, "kt kts"],
  makefile: [makefile, "makefile mk"],
  markdown: [markdown, "md markdown"],
  php: [php, "php"],
  protobuf: [protobuf, "proto"],
  python: [python, "py pyi"],
  ruby: [ruby, "rb gemfile rakefile"],
  rust: [rust, "rs"],
  scss: [scss, "scss sass less"],
  sql: [sql, "sql"],
  swift: [swift, "swift"],
  typescript: [typescript, "ts mts cts tsx"],
  xml: [xml, "xml html htm svg xhtml vue svelte plist csproj"],
  yaml: [yaml, "yaml yml"],
} as const;

const BY_NAME = new Map<string, string>();
for (const [language, [definition, names]] of Object.entries(LANGUAGES)) {
  hljs.registerLanguage(language, definition);
  for (const name of names.split(" ")) BY_NAME.set(name, language);
}

/** Returns the language of a file, by its path. Undefined: none of those that are known. */
export function languageOf(path: string): string | undefined {
  const name = path
    .slice(path.lastIndexOf("/") + 1)
    .toLowerCase()
    .replace(/"$/, "");
  return BY_NAME.get(name) ?? BY_NAME.get(name.slice(name.lastIndexOf(".") + 1));
}

/** Part of a line, and what it is in its language. Empty: nothing of note. */
export interface Token {
  text: string;
  name: string;
}

/** Takes what the highlighter finds, as lines of tokens: nothing ever becomes markup. */
class LineTokens {
  lines: Token[][] = [[]];
  readonly #names: string[] = [];

  addText(text: string): void {
    const name = this.#names.at(-1) ?? "";
    for (const [at, part] of text.split("\n").entries()) {
      if (at > 0) this.lines.push([]);
      if (part !== "") this.lines.at(-1)!.push({ text: part, name });
    }
  }

  startScope(name: string): void {
    // "title.function_" is a title; what is substituted in a string is none.
    this.#names.push(name === "subst" ? "" : name.replace(/[^a-z].*$/s, ""));
  }

  endScope(): void {
    this.#names.pop();
  }

  /** The highlighter has two words for it. */
  openNode(name: string): void {
    this.startScope(name);
  }

  closeNode(): void {
    this.endScope();
  }

  __addSublanguage({ lines: [first = [], ...rest] }: LineTokens): void {
    this.lines.at(-1)!.push(...first);
    this.lines.push(...rest);
  }

  finalize(): void {}

  toHTML(): string {
    return "";
  }
}

hljs.configure({ __emitter: LineTokens as never });

/** Returns the tokens of lines that follow each other, line for line. Undefined: the highlighter cannot. */
export function tokenize(lines: readonly string[], language: string): Token[][] | undefined {
  const { _emitter, errorRaised } = hljs.highlight(lines.join("\n"), { language, ignoreIllegals: true });
  const found = (_emitter as unknown as LineTokens).lines;
  return errorRaised === undefined && found.length === lines.length ? found : undefined;
}
