import { once } from "node:events";
import type { AddressInfo } from "node:net";

import { makeServer } from "../src/server.js";

export type Call = (method: string, path: string, body?: unknown) => Promise<[number, unknown]>;

/** Runs a test against the service on a free port. */
export async function withServer(test: (call: Call) => Promise<void>): Promise<void> {
  const server = makeServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    await test(async (method, path, body) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return [response.status, await response.json()];
    });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
