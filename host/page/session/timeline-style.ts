import { css } from "lit";

/** Style of the timeline: a color for each kind of span. */
export const timelineStyle = css`
  :host {
    display: block;
  }
  .bar {
    display: flex;
    flex-wrap: wrap;
    gap: 0.25rem 1rem;
    align-items: center;
    justify-content: space-between;
  }
  .picture {
    overflow: hidden;
  }
  svg {
    display: block;
  }
  svg text {
    font: 11px var(--mono);
    fill: var(--text);
    pointer-events: none;
  }
  svg .label,
  svg .tick {
    fill: var(--quiet);
    font-family: var(--sans);
  }
  svg line {
    stroke: var(--line);
  }
  .span {
    cursor: pointer;
  }
  .span rect {
    fill: color-mix(in srgb, var(--of) 28%, var(--ground));
    stroke: var(--of);
  }
  .mark {
    display: inline-block;
    inline-size: 0.6em;
    block-size: 0.6em;
    border-radius: 2px;
    background: var(--of);
  }
  .phase {
    --of: var(--quiet);
  }
  .turn {
    --of: var(--accent);
  }
  .tool {
    --of: var(--good);
  }
  .wait {
    --of: var(--warn);
  }
  .model {
    --of: color-mix(in srgb, var(--accent) 50%, var(--bad));
  }
  .claude {
    --of: var(--ground);
  }
  .away,
  .failed {
    --of: var(--bad);
  }
  .lasts rect {
    stroke-dasharray: 3 2;
  }
  .chosen {
    min-block-size: 1.5em;
    margin: 0.25rem 0;
    overflow-wrap: anywhere;
  }
  .scroll {
    max-block-size: 60vh;
  }
  table {
    font-variant-numeric: tabular-nums;
  }
`;
