import { unquotePath } from "../../../proto/index.ts";
import { visible } from "../parts/plain-text.ts";
import type { PatchedFile } from "./patch.ts";

/** Folder or file of a tree. */
export interface TreeNode {
  /** Name as people are shown it; of folders that hold nothing but one folder, all of theirs. */
  name: string;
  /** Key of the node. */
  key: string;
  /** The file. Undefined: it is a folder. */
  file: PatchedFile | undefined;
  children: TreeNode[];
  addedLines: number;
  deletedLines: number;
}

/** Row of a tree that can be seen. */
export interface TreeRow {
  node: TreeNode;
  /** From 1. */
  level: number;
  /** Place among its siblings, from 1, and their number. */
  position: number;
  siblings: number;
  /** Row of the folder that it is in. -1: none. */
  parent: number;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const collator = new Intl.Collator("en", { numeric: true });

/** Returns a path as people are shown it. */
export function shownPath(path: string): string {
  return visible(decoder.decode(unquotePath(path)))
    .replaceAll("\n", "⟨U+000A⟩")
    .replaceAll("\t", "⟨U+0009⟩");
}

/** Builds the tree of files: folders first, by name. */
export function buildTree(files: readonly PatchedFile[]): TreeNode[] {
  const root = folder("", "");
  const folders = new Map<string, TreeNode>();
  for (const file of files) {
    const names = shownPath(file.path).split("/");
    let at = root;
    for (const name of names.slice(0, -1)) {
      const key = `${at.key}${name}/`;
      let next = folders.get(key);
      if (next === undefined) {
        next = folder(name, key);
        folders.set(key, next);
        at.children.push(next);
      }
      next.addedLines += file.addedLines;
      next.deletedLines += file.deletedLines;
      at = next;
    }
    const { addedLines, deletedLines } = file;
    at.children.push({ name: names.at(-1)!, key: file.path, file, children: [], addedLines, deletedLines });
  }
  return arranged(root).children;
}

/** Returns the rows of a tree, without what is in closed folders. */
export function treeRows(nodes: readonly TreeNode[], isClosed: (key: string) => boolean): TreeRow[] {
  const rows: TreeRow[] = [];
  const add = (children: readonly TreeNode[], level: number, parent: number): void => {
    for (const [at, node] of children.entries()) {
      const row = rows.push({ node, level, position: at + 1, siblings: children.length, parent }) - 1;
      if (node.file === undefined && !isClosed(node.key)) add(node.children, level + 1, row);
    }
  };
  add(nodes, 1, -1);
  return rows;
}

/** Returns the files in the order of their tree. */
export function inTreeOrder(nodes: readonly TreeNode[]): PatchedFile[] {
  return treeRows(nodes, () => false).flatMap(({ node }) => node.file ?? []);
}

function folder(name: string, key: string): TreeNode {
  return { name, key, file: undefined, children: [], addedLines: 0, deletedLines: 0 };
}

/** Puts a folder's children in order, and folders that hold but one folder together. */
function arranged(node: TreeNode): TreeNode {
  let folded = node;
  while (folded.key !== "" && folded.children.length === 1 && folded.children[0]!.file === undefined) {
    const [only] = folded.children as [TreeNode];
    folded = { ...only, name: `${folded.name}/${only.name}` };
  }
  const children = folded.children.map(arranged);
  children.sort((a, b) => rank(a) - rank(b) || collator.compare(a.name, b.name));
  return { ...folded, children };
}

function rank({ file }: TreeNode): number {
  return file === undefined ? 0 : 1;
}
