// Who may touch what the programs make.
import assert from 'node:assert/strict';
import { lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { asRoot, byServer } from './support/context.mjs';
import { ends, serve } from './support/server.mjs';

const server = await serve();
const { alice, call } = await server.openCall();
await server.join(alice, call);
await server.post('/api/calls/start', { body: {} });

/** Everything below directory, itself included: [{name, mode, uid, directory, socket}]. */
function walk(directory, name = '.') {
    const stat = lstatSync(path.join(directory, name));
    const below = stat.isDirectory() ? readdirSync(path.join(directory, name)) : [];
    return [{ name, mode: stat.mode & 0o7777, uid: stat.uid, directory: stat.isDirectory(),
              socket: stat.isSocket() },
            ...below.flatMap((entry) => walk(directory, path.join(name, entry)))];
}

const all = (variable) => walk(server.env[variable]);
const octal = (entries) => Object.fromEntries(entries.map(({ name, mode }) => [name, mode.toString(8)]));

test('STATE_DIR is 0700, and all in it 0600', () => {
    const entries = all('STATE_DIR');
    assert.ok(entries.some(({ name }) => name === 'switchboard.db'));
    for (const { name, mode, directory } of entries)
        assert.equal(mode.toString(8), directory ? '700' : '600', name);
});

test('the logs are 0640, in a directory closed to others', () => {
    const modes = octal(all('LOG_DIR'));
    assert.equal(modes['.'], '750');
    assert.equal(modes['switchboard.log'], '640');
    assert.equal(modes['audit.log'], '640');
});

test('the shared counters are 0600', () => {
    const modes = octal(all('RUN_DIR'));
    assert.equal(modes['rate-limits'], '600');
    assert.equal(modes.metrics, '600');
});

test('others cannot connect to a socket', () => {
    const sockets = all('RUN_DIR').filter(({ socket }) => socket);
    assert.ok(sockets.length > 0);
    // lighttpd makes its sockets by its umask: the directory they lie in keeps others out.
    const closed = byServer({ lighttpd: false, apache: true, 'apache-proxy': true, nginx: true });
    for (const { name, mode } of sockets) {
        if (closed) assert.equal(mode & 0o077, 0, name);
        else assert.equal(octal(all('RUN_DIR'))[path.dirname(name)], '700', name);
    }
});

test('nothing is writable for all, or for the group unless it is a socket', () => {
    for (const variable of ['STATE_DIR', 'RUN_DIR', 'LOG_DIR'])
        for (const { name, mode, socket } of all(variable))
            assert.equal(mode & (socket ? 0o002 : 0o022), 0, `${variable} ${name} is ${mode.toString(8)}`);
});

test('nothing is executable', () => {
    for (const variable of ['STATE_DIR', 'RUN_DIR', 'LOG_DIR'])
        for (const { name, mode, directory, socket } of all(variable))
            assert.ok(directory || socket || (mode & 0o111) === 0, `${variable} ${name}`);
});

test('all of the state belongs to one user, who is not root', () => {
    const owners = new Set(all('STATE_DIR').map(({ uid }) => uid));
    assert.equal(owners.size, 1);
    assert.notEqual([...owners][0], asRoot ? 0 : -1);
});

ends(server);
