/** A question as a contained Claude asks it, with two answers to choose from. */
export const question = {
  question: "Which port shall it listen on?",
  header: "Port",
  multiSelect: false,
  options: [
    { label: "8080", description: "As most do" },
    { label: "9090", description: "As the other one does" },
  ],
};
