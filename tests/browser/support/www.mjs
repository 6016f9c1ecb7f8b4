// The modules of www/, for Node.js: a copy, since what tells older versions that a .js is a module is
// a package.json, and the pages need none.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const www = fileURLToPath(new URL('../../../www', import.meta.url));
const copy = mkdtempSync(path.join(os.tmpdir(), 'sb-www-'));
process.on('exit', () => rmSync(copy, { recursive: true }));
cpSync(www, copy, { recursive: true });
writeFileSync(path.join(copy, 'package.json'), '{"type":"module"}');

/** What a module exports; name is its path below www/. */
export const load = (name) => import(pathToFileURL(path.join(copy, name)));

/** An answer of events. */
export const stream = (body) => new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
