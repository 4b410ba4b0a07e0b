/** Raised with every change of the control API that older clients or older hosts cannot live with. */
export const PROTOCOL_VERSION = 1;
