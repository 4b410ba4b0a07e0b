// The types of build-base.mjs. Its bytes and those of slim.mjs are the key of the base image, and another key makes every
// machine build its base and tools images again: they are to be annotated when the recipe changes, and this file to go.

/** The tag of the base image that is made here. */
export const OWN_BASE: string;

/** What the image is made of, as one key; kept on the image as a label. */
export function recipeKey(root: string): string;

/** Makes the base image. Needs root on Debian or Ubuntu. */
export function buildBase(root: string): Promise<void>;
