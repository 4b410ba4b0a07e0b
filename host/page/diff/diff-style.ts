import { css } from "lit";

/** Style of a diff. */
export const diffStyle = css`
  :host {
    display: flex;
    flex-direction: column;
    container-type: size;
    block-size: 100%;
    --strong-added: light-dark(#b4e7bf, #1f5a31);
    --strong-removed: light-dark(#f9c6c3, #6b2527);
  }
  cc-virtual-list {
    flex: 1;
    min-block-size: 0;
  }
  .top {
    display: flex;
    justify-content: space-between;
    gap: 0.75rem;
    padding: 2px 0.75rem;
    font: 0.75rem/20px var(--mono);
    color: var(--quiet);
    overflow-wrap: anywhere;
  }
  .top span:last-child {
    flex: none;
  }
  .file,
  .hunk,
  .note,
  .line {
    display: flex;
    font: 0.8125rem/20px var(--mono);
    scroll-margin: 3rem;
  }
  .file {
    flex-wrap: wrap;
    gap: 0 0.75rem;
    padding: 8px 0.75rem;
    border-block: 1px solid var(--line);
    background: var(--raised);
    font-weight: 600;
    cursor: pointer;
  }
  .name {
    overflow-wrap: anywhere;
  }
  .hunk,
  .note {
    padding: 4px 0.75rem;
    color: var(--quiet);
    background: var(--raised);
    overflow-wrap: anywhere;
  }
  .note {
    gap: 0.75rem;
    align-items: center;
    background: none;
    padding-block: 8px;
  }
  .number {
    flex: none;
    inline-size: 6ch;
    padding-inline-end: 1ch;
    text-align: end;
    color: var(--quiet);
    user-select: none;
    cursor: pointer;
  }
  .number:hover,
  .line:hover .number {
    background: var(--raised);
  }
  .mark {
    flex: none;
    inline-size: 2ch;
    text-align: center;
    user-select: none;
    cursor: pointer;
  }
  .text {
    flex: 1;
    min-inline-size: 0;
    white-space: pre-wrap;
    overflow-wrap: anywhere;
    tab-size: 4;
    unicode-bidi: isolate;
  }
  .half {
    display: flex;
    flex: 1 1 50%;
    min-inline-size: 0;
  }
  .half + .half {
    border-inline-start: 1px solid var(--line);
  }
  .added {
    background: var(--added);
  }
  .removed {
    background: var(--removed);
  }
  .added .changed {
    background: var(--strong-added);
  }
  .removed .changed {
    background: var(--strong-removed);
  }
  .selected {
    box-shadow: inset 4px 0 var(--accent);
  }
  :focus-visible .current {
    outline: 2px solid var(--accent);
    outline-offset: -2px;
  }
  .comment,
  form {
    margin: 6px 0.75rem;
    padding: 0.5rem 0.75rem;
    border: 1px solid var(--line);
    border-radius: 6px;
    background: var(--raised);
  }
  .comment p {
    margin: 0 0 0.4rem;
    white-space: pre-wrap;
    overflow-wrap: anywhere;
  }
  form label {
    display: block;
    overflow-wrap: anywhere;
  }
  textarea {
    display: block;
    inline-size: 100%;
    margin-block: 0.4rem;
    resize: vertical;
  }
  .probe {
    position: absolute;
    visibility: hidden;
    font: 0.8125rem/20px var(--mono);
  }
  @container (max-width: 37rem) {
    .line > .old {
      display: none;
    }
    .number {
      inline-size: 5ch;
    }
  }
  .keyword,
  .operator,
  .literal {
    color: light-dark(#8f1a5c, #ff9ecb);
  }
  .string,
  .regexp {
    color: light-dark(#0a5228, #9ee6b1);
  }
  .comment-text,
  .quote,
  .doctag {
    color: light-dark(#4a515c, #b6bdc8);
    font-style: italic;
  }
  .number-text,
  .symbol,
  .link {
    color: light-dark(#4b2a99, #d2bcff);
  }
  .title,
  .section,
  .name-text,
  .selector {
    color: light-dark(#0b4a94, #9fceff);
  }
  .built,
  .type,
  .attr,
  .attribute,
  .variable,
  .params,
  .property,
  .meta {
    color: light-dark(#6b3a00, #f3c583);
  }
`;
