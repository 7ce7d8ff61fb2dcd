import { expect, test } from "vitest";

import { withServer } from "./service.js";

test("a note is kept with a tidy title", async () => {
  await withServer(async (call) => {
    expect(await call("POST", "/notes", { title: "  Buy   milk " })).toEqual([
      201,
      { id: 1, title: "Buy milk" },
    ]);
    expect(await call("GET", "/notes")).toEqual([200, { notes: [{ id: 1, title: "Buy milk" }] }]);
  });
});

test.each([[{ title: " " }], [{ title: 1 }], [{}], [[]]])("%j is refused", async (body) => {
  await withServer(async (call) => {
    expect(await call("POST", "/notes", body)).toEqual([400, { error: "invalid_title" }]);
  });
});

test("an unknown path is not found", async () => {
  await withServer(async (call) => {
    expect(await call("GET", "/nothing")).toEqual([404, { error: "not_found" }]);
  });
});
