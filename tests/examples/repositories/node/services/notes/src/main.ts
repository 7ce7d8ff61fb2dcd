import { makeServer } from "./server.js";

makeServer().listen(Number(process.env["PORT"] ?? "8080"), "127.0.0.1");
