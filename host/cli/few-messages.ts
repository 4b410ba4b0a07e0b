import { config } from "zod";

// Code that zod writes for its schemas takes longer than the few messages of a start do without it. What is made later sees it.
config({ jitless: true });
