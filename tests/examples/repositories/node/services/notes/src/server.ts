import { createServer, type IncomingMessage, type Server } from "node:http";

import { tidy } from "@example/text";

import { Store } from "./store.js";

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

type Route = (store: Store, url: URL, body: string) => Answer;

const error = (status: number, code: string): Answer => ({ status, body: { error: code } });

const listNotes: Route = (store) => ({ status: 200, body: { notes: store.all() } });

const addNote: Route = (store, _url, body) => {
  const title = titleOf(body);
  return title ? { status: 201, body: store.add(title) } : error(400, "invalid_title");
};

const routes: Readonly<Record<string, Route>> = {
  "GET /notes": listNotes,
  "POST /notes": addNote,
};

function titleOf(body: string): string {
  try {
    const data: unknown = JSON.parse(body);
    const given = typeof data === "object" && data !== null && "title" in data ? data.title : "";
    return typeof given === "string" ? tidy(given) : "";
  } catch {
    return "";
  }
}

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

/** The service over a store; not yet listening. */
export function makeServer(store: Store = new Store()): Server {
  return createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const url = new URL(request.url ?? "/", "http://service");
      const route = routes[`${request.method} ${url.pathname}`];
      const { status, body } = route
        ? route(store, url, await read(request))
        : error(404, "not_found");
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    answer().catch(() => response.destroy());
  });
}
