// What the suite was started for: SB_SERVER and SB_BUILD come from tests/http/run.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

function demand(name) {
    const value = process.env[name];
    if (!value) throw new Error(`${name} is not set: run tests/http/run BUILD "SERVERS" [FILES...]`);
    return value;
}

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const server = demand('SB_SERVER');
export const build = path.resolve(demand('SB_BUILD'));
export const asRoot = process.getuid() === 0;
export const openapiFile = path.join(root, 'docs/openapi.json');

for (const needed of [path.join(build, 'bin/switchboard'), path.join(build, 'cgi-bin/health'),
                      path.join(root, 'etc/serve.sh'), openapiFile])
    if (!existsSync(needed)) throw new Error(`${needed} is missing: make all docs`);

/** The value for the server under test, where servers legitimately differ: {nginx: 400, ...}. */
export function byServer(values) {
    if (!(server in values)) throw new Error(`nothing is said of ${server}`);
    return values[server];
}
