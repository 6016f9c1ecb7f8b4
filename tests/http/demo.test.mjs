// The demonstration of `make run`, up to where it would serve: the port is taken.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import test, { after } from 'node:test';
import { promisify } from 'node:util';
import { build, root } from './support/context.mjs';

const checkout = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'sb-demo-')));
after(() => fs.rmSync(checkout, { recursive: true }));
fs.symlinkSync(path.join(root, 'etc'), path.join(checkout, 'etc'));
const file = path.join(checkout, 'build/demo/switchboard.env');

const taken = net.createServer((socket) => socket.destroy());
await new Promise((resolve) => { taken.listen(0, '127.0.0.1', resolve); });
after(() => taken.close());

async function run() {
    const port = String(taken.address().port);
    const { stdout, stderr } = await promisify(execFile)('etc/demo.sh', [port, build], { cwd: checkout }).catch((error) => error);
    assert.match(stderr, /is taken/);
    return stdout;
}

test('the demonstration makes its secrets once, and prints a token', async () => {
    assert.match(await run(), /TOKEN=eyJ/);
    const made = fs.readFileSync(file, 'utf8');
    assert.match(made, /^JWT_SECRET=[0-9a-f]{64}$/m);
    await run();
    assert.equal(fs.readFileSync(file, 'utf8'), made);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
});

test('a copied checkout has its own places, and what was added to the file', async () => {
    await run();
    const here = fs.readFileSync(file, 'utf8');
    fs.writeFileSync(file, `${here.replaceAll(checkout, path.join(checkout, 'elsewhere'))}OPENAI_API_KEY=sk-x\n`);
    await run();
    assert.equal(fs.readFileSync(file, 'utf8'), `${here}OPENAI_API_KEY=sk-x\n`);
    assert.equal(fs.existsSync(path.join(checkout, 'elsewhere')), false);
});
