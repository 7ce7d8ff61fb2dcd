"""An npm workspace: a TypeScript service and a library, checked by tsc, oxlint and vitest."""

from tests.examples.example import FEATURE, PACKAGE, Change, Recipe
from tests.examples.packages import ADDED_NPM

CONFIGURATION = """\
prompt = "agent"

[[gates]]
name = "typecheck"
command = "npm run typecheck"

[[gates]]
name = "lint"
command = "npm run lint"

[[gates]]
name = "test"
command = "npm test"

[environment]
setup = "npm ci"
key = ["package-lock.json", "**/package.json", ".npmrc"]
provides = ["node_modules"]
scratch = ["node_modules/.vite", "node_modules/.vite-temp"]
network = ["{host}"]
"""

NPMRC = """\
registry={npm}
audit=false
fund=false
ignore-scripts=true
omit-lockfile-registry-resolved=true
update-notifier=false
"""
"""The lock file names versions and checksums, and no registry: any registry serves."""

TASKS = {
    FEATURE: """\
---
allow: [services/notes/**, packages/text/**, README.md]
---

# Search notes

`GET /notes/search?q=TEXT` answers the notes whose title contains the text, in any case.

- [ ] an empty `q` is refused with 400 and `invalid_query`
- [ ] nothing found is an empty list
""",
    PACKAGE: """\
---
allow: [packages/text/**, packages/text/package.json, package-lock.json]
---

# Patterns of literal text

`packages/text` gets `pattern(text)`: a regular expression that finds the text, in any case. Use
the package `escape-string-regexp`.
""",
}

_SEARCH = """\
const searchNotes: Route = (store, url) => {
  const wanted = tidy(url.searchParams.get("q") ?? "");
  return wanted ? { status: 200, body: { notes: store.search(wanted) } } : error(400, "invalid_query");
};

const routes: Readonly<Record<string, Route>> = {
  "GET /notes/search": searchNotes,
"""

FEATURE_CHANGE = Change(
    FEATURE,
    edits=(
        (
            "services/notes/src/server.ts",
            "const routes: Readonly<Record<string, Route>> = {\n",
            _SEARCH,
        ),
        (
            "services/notes/src/store.ts",
            "  all(): readonly Note[] {",
            "  search(text: string): readonly Note[] {\n"
            + "    const wanted = text.toLowerCase();\n"
            + "    return this.#notes.filter((note) => note.title.toLowerCase().includes(wanted));\n"
            + "  }\n\n  all(): readonly Note[] {",
        ),
        (
            "README.md",
            "| `POST /notes` |",
            "| `GET /notes/search?q=TEXT` | notes with TEXT in the title |\n| `POST /notes` |",
        ),
    ),
    files={
        "services/notes/test/search.test.ts": """\
import { expect, test } from "vitest";

import { withServer } from "./service.js";

test.each([
  ["MILK", ["Milk"]],
  ["e", ["Bread", "Tea"]],
  ["coffee", []],
])("searching %j finds %j", async (text, expected) => {
  await withServer(async (call) => {
    for (const title of ["Milk", "Bread", "Tea"]) await call("POST", "/notes", { title });
    const [status, body] = await call("GET", `/notes/search?q=${text}`);
    const { notes } = body as { notes: { title: string }[] };
    expect([status, notes.map((note) => note.title)]).toEqual([200, expected]);
  });
});

test.each(["", "?q=", "?q=%20"])("the query %j is refused", async (query) => {
  await withServer(async (call) => {
    expect(await call("GET", `/notes/search${query}`)).toEqual([400, { error: "invalid_query" }]);
  });
});
"""
    },
    check="npm run typecheck && npm run lint && npm test",
)


_NAME, _VERSION, _INTEGRITY = ADDED_NPM
_LOCKED = f"""\
    "node_modules/{_NAME}": {{
      "version": "{_VERSION}",
      "integrity": "{_INTEGRITY}",
      "license": "MIT",
      "engines": {{
        "node": ">=12"
      }}
    }},
    "node_modules/estree-walker": {{
"""
_LIBRARY = '"name": "@example/text",\n      "version": "1.0.0"'

PACKAGE_CHANGE = Change(
    PACKAGE,
    edits=(
        (
            "packages/text/package.json",
            '"exports": "./src/index.ts"\n',
            '"exports": "./src/index.ts",\n'
            + f'  "dependencies": {{\n    "{_NAME}": "{_VERSION}"\n  }}\n',
        ),
        ("package-lock.json", '    "node_modules/estree-walker": {\n', _LOCKED),
        (
            "package-lock.json",
            _LIBRARY,
            f'{_LIBRARY},\n      "dependencies": {{\n        "{_NAME}": "{_VERSION}"\n      }}',
        ),
    ),
    files={
        "packages/text/src/pattern.ts": """\
import escape from "escape-string-regexp";

/** A pattern that finds the text as it stands, in any case. */
export const pattern = (text: string): RegExp => new RegExp(escape(text), "iu");
""",
        "packages/text/test/pattern.test.ts": """\
import { expect, test } from "vitest";

import { pattern } from "../src/pattern.js";

test("signs of patterns stand for themselves", () => {
  expect(pattern("a.b").test("xA.By")).toBe(true);
  expect(pattern("a.b").test("axb")).toBe(false);
});
""",
    },
    check="npm run lint",
)

NODE = Recipe(
    name="node",
    configuration=CONFIGURATION,
    files={".npmrc": NPMRC},
    tasks=TASKS,
    feature=FEATURE_CHANGE,
    package=PACKAGE_CHANGE,
    broken=("packages/text/src/index.ts", "text.trim().", "text."),
)
