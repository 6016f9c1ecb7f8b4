// Sockets are closed to others, and nothing is left of a server that was stopped.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { alive } from './support/process.mjs';
import { Server, startServer } from './support/server.mjs';
import { copyPrograms, makeSite, owner, root } from './support/site.mjs';
import { until } from './support/wait.mjs';

let site, web;
before(async () => {
    site = makeSite();
    site.programs = copyPrograms(path.join(site.dir, 'programs'));
    site.cgiBin = path.join(site.programs, 'cgi-bin');
    web = await startServer(site);
});
after(async () => {
    await web?.stop();
    site.remove();
});

function sockets(dir) {
    return fs.readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
        const name = path.join(dir, entry.name);
        return entry.isDirectory() ? sockets(name) : entry.isSocket() ? [name] : [];
    });
}

// Whether a stranger can reach the file: each directory above lets others through, and the socket
// itself lets them write.
function openToOthers(file) {
    for (let dir = path.dirname(file); dir !== '/'; dir = path.dirname(dir))
        if ((fs.statSync(dir).mode & 0o001) === 0) return false;
    return (fs.statSync(file).mode & 0o002) !== 0;
}

test('endpoints listen on unix sockets that only their owner reaches', async () => {
    await web.get('/api/health');
    const all = sockets(web.state);
    assert.ok(all.length > 0, 'there are sockets');
    for (const file of all) {
        assert.equal(fs.statSync(file).uid, owner.uid);
        assert.ok(!openToOthers(file), `${file} is open to others`);
    }
    if (root) {
        const connect = 'import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])';
        const tried = spawnSync('/usr/bin/setpriv', ['--reuid=nobody', '--regid=nogroup', '--clear-groups',
            '/usr/bin/python3', '-c', connect, all[0]], { encoding: 'utf8' });
        assert.match(tried.stderr, /PermissionError/);
    }
});

test('the only TCP port is the server\'s own, on the loopback', () => {
    const inodes = new Set(web.processes().concat(web.child.pid).flatMap((pid) => {
        try {
            return fs.readdirSync(`/proc/${pid}/fd`).map((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`));
        } catch {
            return []; // an endpoint, looked at without being root
        }
    }));
    const listening = ['tcp', 'tcp6'].flatMap((name) => fs.readFileSync(`/proc/net/${name}`, 'utf8')
        .split('\n').slice(1).map((line) => line.trim().split(/\s+/))
        .filter((field) => field[3] === '0A' && inodes.has(`socket:[${field[9]}]`)).map((field) => field[1]));
    const own = `0100007F:${web.port.toString(16).toUpperCase().padStart(4, '0')}`;
    assert.deepEqual([...new Set(listening)], [own]);
});

test('nothing is left after a stop, however it is stopped', async () => {
    for (const signal of ['SIGINT', 'SIGTERM']) {
        await web.get('/api/health');
        const all = web.processes();
        assert.ok(all.length >= 2, 'server and endpoints run');
        web.child.kill(signal);
        const status = await web.exited;
        assert.deepEqual(status, { code: 0, signal: null });
        assert.deepEqual(all.filter(alive), []);
        assert.deepEqual(web.processes(), []);
        assert.equal((await web.get('/api/health')).status, 0, 'the port is free');
        web = await startServer(site);
    }
});

test('a server whose script was killed is not in the way of the next on its port', async () => {
    const before = web.processes();
    web.child.kill('SIGKILL');
    await web.exited;
    web = await startServer(site, undefined, web.port);
    assert.equal((await web.get('/api/health')).status, 200);
    await until('nothing is left of the killed one', () => before.filter(alive).length === 0, 15000);
});

test('a port that another serves is refused at once, and it goes on', async () => {
    const second = new Server(site, web.port);
    assert.deepEqual(await second.exited, { code: 1, signal: null });
    await until('it says why', () => /^serve: port \d+ is taken/m.test(second.output));
    assert.equal((await web.get('/api/health')).status, 200);
});
