import { defineConfig } from "vitest/config";

// One project runs in worker threads and the other in processes.
export default defineConfig({
  test: {
    projects: [
      { test: { name: "text", root: "packages/text", pool: "threads" } },
      { test: { name: "notes", root: "services/notes", pool: "forks" } },
    ],
  },
});
