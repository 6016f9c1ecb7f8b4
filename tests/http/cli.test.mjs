// The administrator's command, as scripts use it.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, closeSync, existsSync, linkSync, mkdtempSync, openSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import test, { after } from 'node:test';
import { asRoot, root } from './support/context.mjs';
import { endpoints } from './support/contract.mjs';
import { Installation } from './support/server.mjs';
import { nowS, sign } from './support/tokens.mjs';

const installations = [];
after(() => installations.forEach((installation) => installation.remove()));

function install(env) {
    installations.push(new Installation(env));
    return installations.at(-1);
}

/** One that has its directories and database. */
function installed(env) {
    const made = install(env);
    made.run('migrate');
    return made;
}

function assertFails({ status, stdout, stderr }, wanted, message) {
    assert.equal(status, wanted, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, message);
}

test('check finds nothing wrong with a good configuration', () => {
    const good = installed({ RUN_DIR: '/tmp', LOG_DIR: '/tmp', SALES_EMAIL: 'sales@example.com',
                             SMTP_HOST: 'smtp.example.com', SMTP_FROM: 'switchboard@example.com' });
    const { status, stdout, stderr } = good.switchboard(['check']);
    const root = process.getuid() === 0; // then STATE_DIR is root's, and it says so
    assert.match(stdout, root ? /^warning: STATE_DIR \S+ belongs to root; [^\n]+\n$/ : /^$/);
    assert.equal(stderr, `switchboard: 0 errors, ${root ? 1 : 0} warnings, ${endpoints.length} endpoints\n`);
    assert.equal(status, 0);
});

const wrong = {
    JWT_SECRET: 'too short to be of use', JITSI_JWT_SECRET: null, ALLOWED_ORIGINS: 'https://a.example/path',
    TRUST_PROXY: '10.0.0.1/8', LOG_LEVEL: 'loud', TURN_PORT: '70000', TURN_HOST: 'https://turn.example',
    DATABASE_URL: 'mysql://db', ENABLE_WS_PROXY: 'true', NEXT_PUBLIC_USE_WS_PROXY: 'true',
    CORS_REPORT_ONLY: 'maybe', RATE_LIMIT_HEALTH: 'many',
};

test('check lists every problem at once, by the variable, and exits 1', () => {
    const { status, stdout } = install(wrong).switchboard(['check']);
    assert.equal(status, 1);
    for (const name of Object.keys(wrong))
        assert.match(stdout, new RegExp(`^error: ${name} `, 'm'), stdout);
});

test('check prints no secret', () => {
    const { stdout, stderr } = install(wrong).switchboard(['check']);
    assert.ok(!`${stdout}${stderr}`.includes(wrong.JWT_SECRET));
});

test('check --json is the same list for programs', () => {
    const { status, stdout } = install(wrong).switchboard(['check', '--json']);
    assert.equal(status, 1);
    const found = JSON.parse(stdout);
    for (const { variable, level, message } of found)
        assert.ok(variable && message && ['error', 'warning'].includes(level));
    for (const name of Object.keys(wrong))
        assert.ok(found.some(({ variable }) => variable === name), name);
});

test('check demands in production what a public site must have', () => {
    const { stdout } = install({ APP_ENV: 'production', ALLOWED_ORIGINS: '*' }).switchboard(['check']);
    for (const name of ['PRODUCTION_DOMAIN', 'METRICS_TOKEN', 'JITSI_DOMAIN', 'JITSI_PUBLIC_HOST',
                        'TURN_HOST', 'ALLOWED_ORIGINS'])
        assert.match(stdout, new RegExp(`^error: ${name} `, 'm'), stdout);
});

test('check says that a database is not there yet, and what to do', () => {
    const made = installed({ RUN_DIR: '/tmp', LOG_DIR: '/tmp' });
    made.configure({ DATABASE_URL: 'sqlite:other.db' });
    const { status, stdout } = made.switchboard(['check']);
    assert.equal(status, 1);
    assert.match(stdout, /^error: DATABASE_URL names a database that is not made yet; run: switchboard migrate$/m);
});

test('check says when the certificate authorities of other systems cannot be read', () => {
    const made = installed({ RUN_DIR: '/tmp', LOG_DIR: '/tmp' });
    for (const file of ['/no/such/authorities.pem', made.envFile]) {
        made.configure({ UPSTREAM_CA_FILE: file });
        const { status, stdout } = made.switchboard(['check']);
        assert.equal(status, 1);
        assert.match(stdout, new RegExp(`^error: UPSTREAM_CA_FILE ${file} holds no certificate`, 'm'));
    }
    made.configure({ UPSTREAM_CA_FILE: '/etc/ssl/certs/ca-certificates.crt' });
    assert.equal(made.switchboard(['check']).status, 0);
});

test('check demands the engines of the endpoints that are installed, and no others', () => {
    const made = installed({ RUN_DIR: '/tmp', LOG_DIR: '/tmp', OPENAI_API_KEY: null,
                             VOICE_THINKING: 'local', STT_COMMAND: 'no-such-program' });
    made.configure({ APP_ENV: 'production' });
    const errors = (...only) => {
        const directory = mkdtempSync(path.join(made.directory, 'only-'));
        for (const name of only) linkSync(path.join(made.directory, 'cgi-bin', name), path.join(directory, name));
        const { stdout } = made.switchboard(['check', '--cgi-bin', directory]);
        return stdout.match(/^error: (VOICE_\w+|\w+_COMMAND|RECEPTIONIST_FILE)/gm) ?? [];
    };
    assert.deepEqual(errors('marketing'), []);
    assert.deepEqual(errors('health'), []);
    assert.deepEqual(errors('marketing', 'voice-chat'), ['error: VOICE_HEARING']);
    made.configure({ VOICE_THINKING: null });
    assert.deepEqual(errors('marketing'), ['error: VOICE_THINKING']);
    made.configure({ VOICE_THINKING: 'local', RECEPTIONIST_FILE: '/none' });
    assert.deepEqual(errors('marketing'), ['error: RECEPTIONIST_FILE']);
    assert.deepEqual(errors('health'), []);
});

test('check warns of a limit nobody has and of an environment file open to all', () => {
    const made = installed({ RUN_DIR: '/tmp', LOG_DIR: '/tmp', RATE_LIMIT_HELTH: '1/60' });
    chmodSync(made.envFile, 0o644);
    const { status, stdout } = made.switchboard(['check']);
    assert.equal(status, 0, stdout);
    assert.match(stdout, /^warning: RATE_LIMIT_\* .*"helth"/m);
    assert.match(stdout, /^warning: SWITCHBOARD_ENV .*open to all/m);
});

test('an environment file that is none is named with the line', () => {
    const made = install({ 'THIS IS': 'no name' });
    const { status, stdout } = made.switchboard(['check']);
    assert.equal(status, 1);
    assert.match(stdout, /^(error: STATE_DIR [^\n]*\n)?error: SWITCHBOARD_ENV .* line \d+ is not NAME=VALUE,[^\n]*\n$/,
        'and of what was not read nothing is said');
});

test('check says that there is no environment file', () => {
    const made = installed({ RUN_DIR: '/tmp', LOG_DIR: '/tmp' });
    if (existsSync('/etc/switchboard/switchboard.env')) return; // this machine's own
    const { stdout } = spawnSync(path.join(made.directory, 'bin/switchboard'), ['check'],
        { encoding: 'utf8', env: { PATH: process.env.PATH, ...made.env } });
    assert.match(stdout, /^warning: SWITCHBOARD_ENV is not set, and there is no \/etc\/\S+: /m);
});

test('check names the directory of a database that cannot be made', () => {
    const made = installed({ RUN_DIR: '/tmp', LOG_DIR: '/tmp' });
    made.configure({ DATABASE_URL: 'sqlite:/nowhere/a.db' });
    const { status, stdout } = made.switchboard(['check']);
    assert.equal(status, 1);
    assert.match(stdout, /^error: DATABASE_URL \/nowhere cannot be used \(No such file or directory\); make it /m);
    assert.doesNotMatch(stdout, /migrate/);
});

test('migrate makes the database, and does nothing the second time', () => {
    const made = install();
    assert.match(made.run('migrate'), /^schema (\d+), \1 migrations applied\n$/);
    assert.match(made.run('migrate'), /^schema \d+, 0 migrations applied\n$/);
    assert.equal(statSync(path.join(made.env.STATE_DIR, 'switchboard.db')).mode & 0o777, 0o600);
});

test('a verb that needs the schema says so without it', () => {
    const made = installed();
    made.configure({ DATABASE_URL: 'sqlite:none.db' });
    assertFails(made.switchboard(['user', 'list']), 1, /run: switchboard migrate/);
    assert.ok(!existsSync(path.join(made.env.STATE_DIR, 'none.db')));
});

test('the state belongs to the owner of STATE_DIR, whoever runs the command', () => {
    const made = install();
    if (!asRoot) return assert.equal(made.switchboard(['migrate']).status, 0);
    const uid = Number(spawnSync('id', ['-u', 'www-data'], { encoding: 'utf8' }).stdout);
    spawnSync('install', ['-d', '-m', '0700', '-o', 'www-data', '-g', 'www-data', made.env.STATE_DIR]);
    made.run('migrate');
    made.run('user', 'add', '--id', 'one', '--name', 'One');
    for (const name of ['switchboard.db', 'switchboard.db.lock'])
        assert.equal(statSync(path.join(made.env.STATE_DIR, name)).uid, uid, name);
});

test('another user than the owner is refused, and both are named', () => {
    const made = installed();
    chmodSync(made.envFile, 0o644);
    if (!asRoot) return assert.equal(statSync(made.env.STATE_DIR).uid, process.getuid());
    const { status, stderr } = spawnSync('setpriv', [
        '--reuid=nobody', '--regid=nogroup', '--clear-groups',
        path.join(made.directory, 'bin/switchboard'), 'user', 'list',
    ], { encoding: 'utf8', env: { PATH: process.env.PATH, SWITCHBOARD_ENV: made.envFile } });
    assert.equal(status, 1);
    assert.match(stderr, /belongs to root, but this runs as nobody/);
});

test('check says who must be able to read the environment file', () => {
    const made = installed();
    if (!asRoot) return assert.equal(statSync(made.env.STATE_DIR).uid, process.getuid());
    spawnSync('chown', ['-R', 'www-data', made.env.STATE_DIR]);
    const { status, stdout, stderr } = spawnSync(path.join(made.directory, 'bin/switchboard'), ['check'],
        { encoding: 'utf8', env: { PATH: process.env.PATH, ...made.env, SWITCHBOARD_ENV: made.envFile } });
    assert.equal(status, 1, stderr);
    assert.match(stdout, /^error: SWITCHBOARD_ENV \S+ cannot be read: Permission denied; let the owner of STATE_DIR read it\n$/);
});

test('a user is added once', () => {
    const made = installed();
    const add = ['user', 'add', '--id', 'ann', '--name', 'Ann', '--role', 'staff'];
    assert.equal(made.run(...add), '');
    assertFails(made.switchboard(add), 1, /^switchboard: this user exists already$/m);
});

test('users are listed as text and as JSON lines', () => {
    const made = installed();
    made.run('user', 'add', '--id', 'ann', '--name', 'Ann "A" O\u2019Hara', '--role', 'staff');
    made.run('user', 'add', '--id', 'bob', '--name', 'Bob');
    made.run('user', 'disable', '--id', 'bob');
    assert.equal(made.run('user', 'list'), 'ann\tstaff\tAnn "A" O\u2019Hara\nbob\tuser\tBob\tdisabled\n');
    const rows = made.run('user', 'list', '--json').trim().split('\n').map((row) => JSON.parse(row));
    assert.deepEqual(rows.map(({ createdAt, ...rest }) => rest), [
        { id: 'ann', name: 'Ann "A" O\u2019Hara', role: 'staff', disabled: false },
        { id: 'bob', name: 'Bob', role: 'user', disabled: true },
    ]);
});

test('disabling somebody who is not there fails', () => {
    assertFails(installed().switchboard(['user', 'disable', '--id', 'nobody']), 1, /this user does not exist/);
});

test('a thread is added once, with its members', () => {
    const made = installed();
    const add = ['thread', 'add', '--id', 't1', '--member', 'ann:moderator', '--member', 'a:b:member'];
    assert.equal(made.run(...add), '');
    assertFails(made.switchboard(add), 1, /this thread exists already/);
    const rows = made.run('thread', 'list', '--json').trim().split('\n').map((row) => JSON.parse(row));
    assert.deepEqual(rows, [{ threadId: 't1', userId: 'a:b', role: 'member' },
                            { threadId: 't1', userId: 'ann', role: 'moderator' }]);
});

const usage = {
    'no verb': [],
    'a verb there is not': ['dance'],
    'a role there is not': ['thread', 'add', '--id', 't', '--member', 'ann:king'],
    'a member without a role': ['thread', 'add', '--id', 't', '--member', 'ann'],
    'a thread without members': ['thread', 'add', '--id', 't'],
    'a thread id that is none': ['thread', 'add', '--id', 'a/b', '--member', 'ann:member'],
    'a user without a name': ['user', 'add', '--id', 'ann'],
    'a user role there is not': ['user', 'add', '--id', 'ann', '--name', 'Ann', '--role', 'king'],
    'an action there is not': ['user', 'promote'],
    'an option there is not': ['check', '--verbose'],
    'too many arguments': ['check', 'this'],
    'a token for nobody': ['token', 'mint'],
    'a token for ever': ['token', 'mint', '--sub', 'ann', '--ttl', '99999999'],
    'a lifetime that is no number': ['token', 'mint', '--sub', 'ann', '--ttl', '5m'],
    'keys to mint with': ['token', 'mint', '--sub', 'ann', '--jwks', 'file'],
    'a subject to inspect': ['token', 'inspect', '--sub', 'ann'],
    'no action on the keys': ['jwks'],
    'an action there is not on the keys': ['jwks', 'rotate'],
    'a variable there is not': ['config', '--get', 'NONSENSE'],
    'help for a verb there is not': ['help', 'dance'],
    'arguments for migrate': ['migrate', '9'],
    'arguments for clean': ['clean', '--dry-run'],
    'arguments for version': ['version', '2'],
};
const forUsage = installed();
for (const [what, args] of Object.entries(usage))
    test(`a usage error, which exits 2 and prints to stderr alone: ${what}`, () => {
        assertFails(forUsage.switchboard(args), 2, /^switchboard: .+\nusage: switchboard /m);
    });

test('help lists the verbs, and help VERB tells how one is used', () => {
    for (const verb of ['check', 'config', 'jwks', 'migrate', 'thread', 'token', 'user'])
        assert.match(forUsage.run('help'), new RegExp(`^  ${verb} `, 'm'));
    assert.match(forUsage.run('help', 'token'), /^usage: switchboard token mint /);
    assert.equal(forUsage.run('--help'), forUsage.run('help'));
    assert.equal(forUsage.run('--version'), forUsage.run('version'));
});

test('VERB --help tells how a verb is used, and does nothing else', () => {
    const made = install();
    for (const [, verb] of made.run('help').matchAll(/^ {2}(\w+) /gm))
        assert.match(made.run(verb, '--help'), new RegExp(`^usage: switchboard ${verb}\\b`));
    assert.match(made.run('erase', '--user', 'ann', '--help'), /^usage: switchboard erase /);
    assert.ok(!existsSync(path.join(made.env.STATE_DIR, 'switchboard.db')), 'migrate --help has run');
});

test('a run of cron that has nothing to tell mails nobody', () => {
    const made = installed();
    const jobs = readFileSync(path.join(root, 'cron/switchboard'), 'utf8').split('\n')
        .map((line) => /^\S+ \S+ \S+ \S+ \S+ www-data (.*)$/.exec(line)?.[1]).filter(Boolean);
    assert.ok(jobs.length >= 4);
    for (const job of jobs) {
        // A lock that others can open they can hold: no job would run, and nobody hear of it.
        assert.doesNotMatch(job, /flock (?!-n \/var\/lib\/switchboard\/)/);
        const command = job.replaceAll('/var/lib/switchboard', made.env.STATE_DIR);
        const { stdout, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8', env: {
            PATH: `${made.directory}/bin:${process.env.PATH}`, SWITCHBOARD_ENV: made.envFile } });
        assert.deepEqual([stdout, stderr], ['', ''], job);
    }
});

test('output that cannot be written is a failure, and told', () => {
    const made = installed();
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(path.join(made.directory, 'bin/switchboard'), ['config'],
        { stdio: ['ignore', full, 'pipe'], encoding: 'utf8',
          env: { PATH: process.env.PATH, SWITCHBOARD_ENV: made.envFile } });
    closeSync(full);
    assert.equal(status, 1);
    assert.equal(stderr, 'switchboard: standard output cannot be written: No space left on device\n');
});

test('migrate tells the schema there is, also when a newer build made it', () => {
    const made = installed();
    execFileSync('sqlite3', [path.join(made.env.STATE_DIR, 'switchboard.db'), 'PRAGMA user_version = 4711']);
    const { status, stdout, stderr } = made.switchboard(['migrate']);
    assert.deepEqual([status, stdout], [0, 'schema 4711, 0 migrations applied\n']);
    assert.match(stderr, /^switchboard: a newer build made this schema; this one knows \d+ /);
});

test('config shows nothing while its file cannot be read', () => {
    const made = installed();
    const real = made.envFile;
    made.envFile += '.none';
    for (const args of [['config'], ['config', '--get', 'STATE_DIR']])
        assertFails(made.switchboard(args), 1, /^switchboard: SWITCHBOARD_ENV \S+ cannot be read: No such file/);
    assert.match(made.run('config', '--example'), /^#? *STATE_DIR=/m, 'which needs no file');
    made.envFile = real;
});

test('config prints every variable once, and secrets only as set', () => {
    const made = installed();
    const text = made.run('config');
    const names = text.trim().split('\n').map((line) => line.slice(0, line.indexOf('=')));
    assert.equal(new Set(names).size, names.length);
    assert.match(text, /^JWT_SECRET=\(set\)$/m);
    for (const secret of made.privates) assert.ok(!text.includes(secret));
    assert.equal(made.run('config', '--get', 'STATE_DIR'), `${made.env.STATE_DIR}\n`);
});

test('a minted token can be inspected: its claims on stdout, exit 0', () => {
    const made = installed({ JWT_ISSUER: 'https://id.example' });
    const token = made.run('token', 'mint', '--sub', 'ann', '--name', 'Ann', '--role', 'staff', '--ttl', '60');
    const { status, stdout, stderr } = made.switchboard(['token', 'inspect'], token);
    const { iat, exp, ...rest } = JSON.parse(stdout);
    assert.deepEqual([status, stderr], [0, '']);
    assert.deepEqual(rest, { sub: 'ann', name: 'Ann', role: 'staff', iss: 'https://id.example' });
    assert.equal(exp - iat, 60);
});

test('mint refuses in production and prints nothing that could be taken for a token', () => {
    const made = install({ APP_ENV: 'production', PRODUCTION_DOMAIN: 'www.example.com' });
    assertFails(made.switchboard(['token', 'mint', '--sub', 'ann']), 1, /refused: APP_ENV is production/);
});

const inspected = installed({ JWT_AUDIENCE: 'web' });
const key = inspected.env.JWT_SECRET;
const claims = (more) => ({ sub: 'ann', aud: 'web', exp: nowS() + 60, ...more });
const refusals = {
    'the token has expired': sign(key, claims({ exp: 1 })),
    'the token is not valid yet': sign(key, claims({ nbf: nowS() + 600 })),
    'the signature does not match': sign(`${key}!`, claims()),
    'the alg is not the key': sign(key, claims(), { alg: 'none', typ: 'JWT' }),
    'aud is not for us': sign(key, claims({ aud: 'app' })),
    'sub is missing': sign(key, claims({ sub: undefined })),
    'exp is missing': sign(key, claims({ exp: undefined })),
    'the token is not three parts': 'abc',
    'the typ is not an expected one': sign(key, claims(), { alg: 'HS256', typ: 'ticket+jwt' }),
    'a parameter that is refused': sign(key, claims(), { alg: 'HS256', crit: ['exp'] }),
    'the token is too long': 'x'.repeat(9000),
};
for (const [reason, token] of Object.entries(refusals))
    test(`inspect explains: ${reason}`, () => {
        const { status, stderr } = inspected.switchboard(['token', 'inspect'], token);
        assert.equal(status, 1);
        assert.match(stderr, new RegExp(`^switchboard: refused: .*${reason}`));
    });
