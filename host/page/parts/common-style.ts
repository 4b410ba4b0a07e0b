import { css } from "lit";

/** Style of what looks the same in every element: `static override styles = [commonStyle, css`…`]`. */
export const commonStyle = css`
  :host {
    box-sizing: border-box;
  }
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }
  a {
    color: var(--accent);
  }
  h1,
  h2,
  h3 {
    margin: 0;
    font-size: 1rem;
    font-weight: 600;
  }
  button,
  input,
  select,
  textarea {
    font: inherit;
    color: inherit;
    background: var(--ground);
    border: 1px solid var(--line);
    border-radius: 6px;
    padding: 0.2rem 0.6rem;
  }
  button {
    cursor: pointer;
    background: var(--raised);
  }
  button:disabled {
    cursor: default;
    color: var(--quiet);
  }
  :focus-visible {
    outline: 2px solid var(--accent);
    outline-offset: 1px;
  }
  code,
  pre {
    font-family: var(--mono);
    font-size: 0.875em;
  }
  .quiet {
    color: var(--quiet);
  }
  .good {
    color: var(--good);
  }
  .bad {
    color: var(--bad);
  }
  .warn {
    color: var(--warn);
  }
  .unseen {
    position: absolute;
    inline-size: 1px;
    block-size: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  .made-visible {
    color: var(--warn);
    border: 1px solid currentColor;
    border-radius: 3px;
    font: 0.75em var(--mono);
    padding-inline: 2px;
  }
`;
