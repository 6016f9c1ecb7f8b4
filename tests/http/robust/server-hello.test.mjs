// Adding an endpoint is adding one file: written as a newcomer would, built by `make`, called.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { alive } from './support/process.mjs';
import { beside, RELOAD, server, startServer } from './support/server.mjs';
import { copyCheckout, here, make, makeSite } from './support/site.mjs';
import { until } from './support/wait.mjs';

let site, web, copy;
before(async () => {
    site = makeSite();
    copy = copyCheckout(path.join(site.dir, 'checkout'));
    site.cgiBin = path.join(copy.built, 'cgi-bin');
    web = await startServer(site, copy.dir);
});
after(async () => {
    await web?.stop();
    site.remove();
});

test('one file in cgi-bin/ and make are an endpoint', async () => {
    const before = await web.get('/api/hello');
    assert.equal(before.status, 404);
    assert.equal(before.json.error.code, 'not_found');
    const master = web.master;

    const sources = execFileSync('find', [copy.dir, '-name', '*.[ch]'], { encoding: 'utf8' }).split('\n').length;
    fs.copyFileSync(path.join(here, 'hello.c'), path.join(copy.dir, 'cgi-bin/hello.c'));
    make(copy.dir);
    assert.equal(execFileSync('find', [copy.dir, '-name', '*.[ch]'], { encoding: 'utf8' }).split('\n').length, sources + 1);

    if (server === 'lighttpd') process.kill(master, RELOAD);
    if (beside) {
        await web.stop(); // its locations and processes are made at the start
        web = await startServer(site, copy.dir);
    }
    await until('it is there', async () => (await web.get('/api/hello')).status === 200, 5000);
    if (!beside) assert.ok(alive(master) && web.master === master, 'the same server');

    assert.equal((await web.get('/api/hello?name=Ada')).json.greeting, 'Hello, Ada!');
    assert.equal((await web.get('/api/hello')).json.greeting, 'Hello, world!');
    const wrong = await web.get(`/api/hello?name=${'x'.repeat(65)}`);
    assert.equal(wrong.status, 400);
    assert.equal(wrong.json.error.fields[0].field, 'name');
    assert.equal((await web.get('/api/hello?nmae=Ada')).status, 400, 'an unknown field');
    assert.equal((await web.get('/api/hello/there')).status, 404);
    assert.equal((await web.get('/api/hellothere')).status, 404);
    const description = execFileSync(path.join(site.cgiBin, 'hello'), ['--describe'], { encoding: 'utf8' });
    assert.ok(JSON.parse(description).paths['/api/hello'].get.responses['200']);
});
