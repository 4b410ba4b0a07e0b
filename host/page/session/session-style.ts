import { css } from "lit";

/** Style of the page of one session. */
export const sessionStyle = css`
  :host {
    display: grid;
    grid-template-columns: minmax(0, 1fr);
    gap: 0.75rem;
    padding: 0.75rem 1rem 2rem;
    overflow-wrap: break-word;
  }
  p {
    margin: 0;
    overflow-wrap: anywhere;
  }
  p:empty {
    display: none;
  }
  .line {
    display: flex;
    flex-wrap: wrap;
    gap: 0 1rem;
    align-items: baseline;
    font-variant-numeric: tabular-nums;
  }
  .state {
    font-weight: 600;
  }
  .facts {
    display: flex;
    flex-wrap: wrap;
    gap: 0 1.5rem;
    margin: 0.4rem 0 0;
    font-size: 0.875rem;
  }
  .facts div {
    display: flex;
    gap: 0.4rem;
    min-inline-size: 0;
  }
  dt {
    color: var(--quiet);
  }
  dd {
    margin: 0;
    min-inline-size: 0;
    overflow-wrap: anywhere;
  }
  .doing {
    min-block-size: 1.5em;
  }
  .decisions,
  .beside,
  .feed,
  .result {
    display: grid;
    grid-template-columns: minmax(0, 1fr);
    gap: 0.5rem;
    align-content: start;
  }
  .columns {
    display: grid;
    grid-template-columns: minmax(0, 1fr);
    gap: 1rem;
  }
  @media (min-width: 64rem) {
    .columns {
      grid-template-columns: minmax(0, 3fr) minmax(16rem, 1fr);
    }
  }
  .result {
    border: 1px solid var(--line);
    border-radius: 8px;
    padding: 0.6rem 0.8rem;
  }
  h3 {
    font-size: 0.9375rem;
  }
  ul {
    margin: 0;
    padding-inline-start: 1.2rem;
    overflow-wrap: anywhere;
  }
  .scroll {
    max-block-size: 20rem;
  }
  table {
    font-size: 0.875rem;
  }
  th[scope="row"] {
    min-inline-size: 8rem;
    overflow-wrap: anywhere;
  }
`;
