// The admin's command: each call of a verb fails in turn. It succeeds, or fails with a message; the
// database stays whole, and the verb works the next time.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { owner } from '../http/robust/support/site.mjs';
import { Faults, faultsOf, PEER, sampling } from './support/faults.mjs';
import { runOnce } from './support/program.mjs';
import { damage, makeTorturedSite } from './support/scenarios.mjs';
import { sweep } from './support/sweep.mjs';

let site, command;
before(async () => {
    site = await makeTorturedSite();
    command = path.join(site.programs, 'bin/switchboard');
    site.seedThreads('user1', 'thread', 20);
});
after(() => site.remove());

// What a verb does, each time on a thing of its own:
//   args      for the thing's number
//   settings  of the environment
//   stores    it uses the database
//   done      whether the database says so
//   exists    what it says of a thing that is done already, where that is a failure
const stateOf = (i) => path.join(site.dir, `state-${i}`);
const VERBS = {
    migrate: {
        stores: true,
        args: () => ['migrate'],
        settings: (i) => {
            fs.mkdirSync(stateOf(i), { recursive: true, mode: 0o700 });
            fs.chownSync(stateOf(i), owner.uid, owner.gid);
            return { STATE_DIR: stateOf(i) };
        },
        done: (i) => sqlOf(i, 'SELECT count(*) > 5 FROM sqlite_schema') === '1',
        clean: (i) => {
            if (fs.existsSync(path.join(stateOf(i), 'switchboard.db')))
                assert.equal(sqlOf(i, 'PRAGMA integrity_check'), 'ok');
            fs.rmSync(stateOf(i), { recursive: true });
        },
    },
    'user add': {
        stores: true,
        args: (i) => ['user', 'add', '--id', `ada${i}`, '--name', 'Ada'],
        done: (i) => site.sql(`SELECT name FROM users WHERE id = 'ada${i}'`) === 'Ada',
        exists: /exists already/,
    },
    'user list': { stores: true, args: () => ['user', 'list', '--json'], stdout: /^(\{"id":.*\}\n)+$/, same: true },
    'thread add': {
        stores: true,
        args: (i) => ['thread', 'add', '--id', `room${i}`, '--member', `bob${i}:moderator`, '--member', 'user1:member'],
        done: (i) => site.sql(`SELECT count(*) FROM thread_members WHERE thread_id = 'room${i}'`) === '2',
        exists: /exists already/,
    },
    'thread list': { stores: true, args: () => ['thread', 'list'], stdout: /^(\S+\t\S+\t\S+\n)+$/, same: true },
    'token mint': { args: () => ['token', 'mint', '--sub', 'user1'], stdout: /^[\w-]+\.[\w-]+\.[\w-]+\n$/ },
    clean: { stores: true, args: () => ['clean'], stdout: /^(\d+ [a-z ]+ removed\n)+$/ },
    check: { args: () => ['check', '--json'], stdout: /^\[.*\]\n$/, same: true },
};

function sqlOf(i, text) {
    return site.asOwner('sqlite3', ['-bail', '-cmd', '.timeout 5000', path.join(stateOf(i), 'switchboard.db')], {
        input: text,
    }).trim();
}

function assertDone(verb, i, run, like) {
    if (verb.stdout) assert.match(run.stdout.toString(), verb.stdout);
    if (verb.same) assert.equal(run.stdout.toString(), like.stdout.toString());
    if (verb.done) assert.ok(verb.done(i), 'done as it said');
}

async function run(verb, i, faults) {
    return runOnce(site, command, { args: verb.args(i), settings: verb.settings?.(i), faults });
}

let number = 0;

async function attempt(verb, like, fault, at) {
    const i = ++number;
    const faults = new Faults(path.join(site.dir, `verb-${i}.faults`));
    let under, again;
    try {
        faults.arm(fault, at);
        under = await run(verb, i, faults);
        faults.disarm();
        const hit = faults.failed > 0;
        assert.equal(under.signal, null, 'no crash');
        if (under.code === 0) assertDone(verb, i, under, like);
        else assert.ok(under.stderr !== '' || (verb.same && under.stdout.length > 0), 'a message');
        again = await run(verb, i, faults);
        const was = again.code !== 0 && verb.exists?.test(again.stderr);
        if (!was) assert.equal(again.code, 0, again.stderr);
        assertDone(verb, i, was ? under : again, like);
        verb.clean?.(i);
        return { hit, outcome: under.code === 0 ? 'good' : 'error' };
    } catch (error) {
        error.message += ` (${under?.code} ${under?.signal} ${under?.stderr}${under?.stdout}, again ${again?.code} ${again?.stderr})`;
        error.site = faults.site();
        throw error;
    } finally {
        faults.close();
    }
}

for (const [title, verb] of Object.entries(VERBS)) {
    test(`${title}: every call fails in turn`, async (t) => {
        const faults = new Faults(path.join(site.dir, 'control.faults'));
        const like = await run(verb, 0, faults);
        faults.close();
        assert.equal(like.code, 0, like.stderr);
        assertDone(verb, 0, like, like);
        for (const [name, fault] of faultsOf(verb).filter(([, { kinds }]) => kinds !== PEER))
            await t.test(name, () =>
                sweep(`switchboard ${title}\t${name}`, (at) => attempt(verb, like, fault, at),
                    { ...sampling(verb, fault), width: 4 }));
        assert.equal(damage(site), '');
    });
}
