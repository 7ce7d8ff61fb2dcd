import { expect, test } from "vitest";

import { tidy } from "../src/index.js";

test.each([
  ["", ""],
  ["  a ", "a"],
  ["a \n b", "a b"],
])("tidy(%j) is %j", (given, expected) => {
  expect(tidy(given)).toBe(expected);
});
