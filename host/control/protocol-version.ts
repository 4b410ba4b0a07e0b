/** Version of the control API. It is raised with every change that older clients or hosts cannot live with. */
export const PROTOCOL_VERSION = 1;
