// The log files as what reads them would: line by line, each valid JSON.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const levels = ['debug', 'info', 'warn', 'error'];

/** The lines of a log file, rotated ones (NAME.*) first. */
export function logLines(directory, name) {
    if (!existsSync(directory)) return [];
    const files = readdirSync(directory).filter((file) => file === name || file.startsWith(`${name}.`));
    return files.sort().reverse().flatMap((file) => {
        const text = readFileSync(path.join(directory, file), 'utf8');
        return text.slice(0, text.lastIndexOf('\n') + 1).split('\n').slice(0, -1)
            .map((line) => JSON.parse(line));
    });
}

function assertLine(line) {
    assert.match(line.ts, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(levels.includes(line.level), JSON.stringify(line));
    assert.match(line.event, /^[a-z_.]+$/);
    assert.equal(typeof line.endpoint, 'string');
    if ('traceId' in line) assert.match(line.traceId, /^[0-9a-f]{32}$/);
}

/** Every answer seen has one line with its trace id and status, and no other request has one. */
function assertRequests(server, lines) {
    const logged = new Map();
    for (const { traceId, status } of lines.filter(({ event }) => event === 'request'))
        logged.set(traceId, [...(logged.get(traceId) ?? []), status].sort());
    for (const [trace, statuses] of server.statuses)
        assert.deepEqual(logged.get(trace), statuses.sort(), `the line of trace ${trace}`);
}

/** What holds for the logs of a server that has ended. */
export function assertLogs(server) {
    const directory = server.env.LOG_DIR;
    const lines = server.lines();
    for (const line of [...lines, ...server.lines('audit.log')]) assertLine(line);
    assertRequests(server, lines);
    for (const file of readdirSync(directory)) {
        const text = readFileSync(path.join(directory, file), 'utf8');
        if (/^(switchboard|audit)\.log/.test(file))
            assert.ok(text === '' || text.endsWith('\n'), `${file} ends within a line`);
        for (const secret of server.privates)
            assert.ok(!text.includes(secret), `${file} holds what is private: ${secret}`);
    }
}
