import type { Page } from "playwright-core";

/** What is in a document and in all of its shadow trees. */
export interface PageContents {
  /** All texts, also those of attributes that people are shown or told. */
  texts: string[];
  /** Names of the elements, each once. */
  elements: string[];
}

/** Runs in the browser, whose names are not known here. */
const READ = `(() => {
  const texts = [];
  const elements = new Set();
  const read = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      if (node.nodeType === Node.TEXT_NODE) {
        texts.push(node.nodeValue);
        continue;
      }
      elements.add(node.localName);
      for (const name of ["title", "aria-label", "alt", "placeholder", "value"]) {
        if (node.hasAttribute(name)) texts.push(node.getAttribute(name));
      }
      if (node.shadowRoot !== null) read(node.shadowRoot);
    }
  };
  read(document);
  return { texts, elements: [...elements].sort() };
})()`;

/** Reads what a page holds, as text and as elements. */
export function readPage(page: Page): Promise<PageContents> {
  return page.evaluate<PageContents>(READ);
}
