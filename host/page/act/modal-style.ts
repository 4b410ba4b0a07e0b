import { css } from "lit";

/** Style of the dialogs. */
export const modalStyle = css`
  dialog {
    inline-size: min(48rem, calc(100vw - 1rem));
    max-block-size: calc(100dvh - 2rem);
    padding: 1rem;
    color: var(--text);
    background: var(--ground);
    border: 1px solid var(--line);
    border-radius: 8px;
    overflow: auto;
    text-align: start;
    white-space: normal;
  }
  dialog::backdrop {
    background: rgb(0 0 0 / 50%);
  }
  form,
  fieldset,
  .part {
    display: grid;
    gap: 0.6rem;
    min-inline-size: 0;
  }
  fieldset {
    margin: 0;
    border: 1px solid var(--line);
    border-radius: 6px;
  }
  label.field {
    display: grid;
    gap: 0.15rem;
  }
  .fields {
    display: grid;
    grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr));
    gap: 0.6rem;
  }
  .fields > * {
    min-inline-size: 0;
    align-content: end;
  }
  input:not([type="radio"], [type="checkbox"]),
  select,
  textarea {
    inline-size: 100%;
  }
  .buttons {
    display: flex;
    flex-wrap: wrap;
    justify-content: end;
    gap: 0.5rem;
    position: sticky;
    inset-block-end: -1rem;
    margin: 0 -1rem -1rem;
    padding: 0.6rem 1rem;
    background: var(--ground);
    border-block-start: 1px solid var(--line);
  }
  button.main {
    color: var(--ground);
    background: var(--accent);
    border-color: var(--accent);
  }
  button.main:disabled {
    color: var(--quiet);
    background: var(--raised);
    border-color: var(--line);
  }
  p,
  ul {
    margin: 0;
    overflow-wrap: anywhere;
  }
  ul {
    padding-inline-start: 1.2rem;
  }
  pre {
    margin: 0.25rem 0;
    padding: 0.5rem;
    overflow: auto;
    background: var(--raised);
    border-radius: 6px;
  }
`;
