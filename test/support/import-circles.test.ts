import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { preProcessFile } from "typescript";
import { expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

/** Production file with the files that it imports; imports of types count, for they tie as much. */
type Imports = ReadonlyMap<string, readonly string[]>;

it("has no circle of imports in the production code, of types or of values", () => {
  expect(circlesIn(productionImports())).toEqual([]);
});

it("finds a circle, and says where it goes through", () => {
  const imports = new Map([
    ["a.ts", ["b.ts", "d.ts"]],
    ["b.ts", ["c.ts"]],
    ["c.ts", ["b.ts", "d.ts"]],
    ["d.ts", []],
  ]);
  expect(circlesIn(imports)).toEqual(["b.ts -> c.ts -> b.ts"]);
});

function productionImports(): Imports {
  const files = globSync("{proto,agent,host}/**/*.ts", { cwd: ROOT, exclude: ["**/*.test.ts"] });
  expect(files.length).toBeGreaterThan(300);
  return new Map(files.map((file) => [file, importsOf(file)]));
}

function importsOf(file: string): string[] {
  const { importedFiles } = preProcessFile(readFileSync(join(ROOT, file), "utf8"));
  return importedFiles
    .map(({ fileName }) => fileName)
    .filter((name) => name.startsWith("."))
    .map((name) => join(dirname(file), name));
}

/** Returns one circle for each import that closes one. */
function circlesIn(imports: Imports): string[] {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
    if (path.includes(file) || done.has(file)) return;
    for (const next of imports.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return circles;
}
