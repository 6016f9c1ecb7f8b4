// node coverage.mjs CALLED: fails unless the suite has called every documented operation, and seen
// it succeed where it can. CALLED holds "METHOD PATH STATUS" lines, written by support/contract.mjs.
import { readFileSync } from 'node:fs';
import { openapi } from './contract.mjs';

const called = new Set(readFileSync(process.argv[2], 'utf8').split('\n'));
const missing = [];
for (const [path, operations] of Object.entries(openapi.paths))
    for (const [method, { responses }] of Object.entries(operations)) {
        const best = Object.keys(responses).filter((status) => status < 300);
        const wanted = best.length > 0 ? best : Object.keys(responses).filter((status) => status === '410');
        for (const status of wanted)
            if (!called.has(`${method.toUpperCase()} ${path} ${status}`))
                missing.push(`${method.toUpperCase()} ${path} never answered ${status} in a test`);
    }
for (const line of missing) console.error(line);
process.exit(missing.length === 0 ? 0 : 1);
