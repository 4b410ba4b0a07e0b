import { css } from "lit";

/** Style of a feed's entries. */
export const feedStyle = css`
  :host {
    display: block;
  }
  section {
    display: flex;
    flex-direction: column;
  }
  .bar {
    display: flex;
    flex-wrap: wrap;
    gap: 0.25rem 1rem;
    align-items: center;
  }
  h2 {
    flex: 1;
  }
  cc-virtual-list {
    block-size: max(20rem, 65vh);
    border: 1px solid var(--line);
    border-radius: 6px;
    margin-block: 0.25rem;
  }
  .entry {
    padding: 0.2rem 0.6rem;
    border-block-end: 1px solid var(--line);
    border-inline-start: 3px solid transparent;
  }
  .line {
    display: flex;
    flex-wrap: wrap;
    gap: 0 0.6rem;
    align-items: baseline;
  }
  time,
  .elapsed {
    font-variant-numeric: tabular-nums;
    font-size: 0.8125rem;
  }
  time {
    min-inline-size: 4.5rem;
  }
  .title {
    font-weight: 600;
  }
  .subject {
    min-inline-size: 0;
    overflow-wrap: anywhere;
  }
  .tool .subject,
  .decision .subject {
    font-family: var(--mono);
    font-size: 0.875em;
  }
  pre {
    margin: 0.2rem 0;
  }
  .nested {
    padding-inline-start: 2rem;
  }
  .progress .title,
  .progress .subject {
    font-weight: 400;
    color: var(--quiet);
  }
  .message {
    background: var(--raised);
  }
  .claude {
    border-inline-start-color: var(--accent);
  }
  .waiting {
    border-inline-start-color: var(--warn);
  }
  .waiting .state {
    color: var(--warn);
  }
  .bad {
    border-inline-start-color: var(--bad);
  }
  .entry.good,
  .entry.bad {
    color: inherit;
  }
  .bad .state {
    color: var(--bad);
  }
`;
