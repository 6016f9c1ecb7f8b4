// What is wrong on the machine itself: each thing is done to a sound installation, found by the doctor,
// and undone.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync }
    from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { asRoot } from './support/context.mjs';
import { Patient, family } from './support/doctor.mjs';
import { ends } from './support/server.mjs';

const patient = await new Patient().start();
const { STATE_DIR, RUN_DIR, LOG_DIR } = patient.env;
const database = path.join(STATE_DIR, 'switchboard.db');

// Where nothing answers the site is not asked any further, which saves most of the time.
const nowhere = ['--url', 'http://127.0.0.1:1'];

/** What the checks of the machine find: these, each once. */
function onMachine(checks, ...more) {
    return patient.assertFinds([...checks, 'reach'], ...nowhere, ...more).filter(({ check }) => check !== 'reach');
}

/** Only this check finds something, once, in these words. */
function assertFound(check, what, advice, ...more) {
    const [found] = onMachine([check], ...more);
    assert.equal(found.level, 'fail');
    assert.equal(found.what, what);
    assert.equal(found.do, advice);
}

function withMode(file, mode, use) {
    const before = statSync(file).mode & 0o7777;
    chmodSync(file, mode);
    try {
        use();
    } finally {
        chmodSync(file, before);
    }
}

for (const [name, file, mode, best] of [['directories', STATE_DIR, 0o755, '0700'], ['directories', RUN_DIR, 0o733, '0711'],
                                        ['directories', LOG_DIR, 0o755, '0750'], ['files', database, 0o644, '0600'],
                                        ['files', `${database}-wal`, 0o660, '0600'],
                                        ['files', path.join(LOG_DIR, 'switchboard.log'), 0o644, '0640']])
    test(`found: ${path.basename(file)} is open to others`, async () => {
        await patient.call('/api/health/ready'); // so that there is a log, and a write-ahead log
        withMode(file, mode, () => assertFound(name, `${file} has mode ${mode.toString(8).padStart(4, '0')}`,
                                               `chmod ${best} ${file}`));
    });

test('found: the environment file is open to all', () => withMode(patient.envFile, 0o644, () =>
    assertFound('env-file', `${patient.envFile} holds secrets and has mode 0644`, `chmod 0640 ${patient.envFile}`)));

if (asRoot) {
    const owner = statSync(STATE_DIR);

    test('found: the environment file is not readable to the endpoints', () => withMode(patient.envFile, 0o600, () =>
        assertFound('env-readable', `${patient.envFile} is not readable to www-data`,
                    `chgrp www-data ${patient.envFile}; chmod 0640 ${patient.envFile}`)));

    test('found: a file of the database is not the owner\'s', () => {
        const file = `${database}.lock`;
        chownSync(file, 0, 0);
        try {
            assertFound('files', `${file} belongs to root, not to www-data`, `chown www-data ${file}`);
        } finally {
            chownSync(file, owner.uid, owner.gid);
        }
    });

    test('found: STATE_DIR is root\'s', () => {
        chownSync(STATE_DIR, 0, 0);
        try {
            const found = patient.examine(...nowhere).findings.filter(({ check }) => check === 'directories').map(({ what }) => what);
            assert.ok(found.includes(`STATE_DIR ${STATE_DIR} is not a web server's`), found.join('\n'));
        } finally {
            chownSync(STATE_DIR, owner.uid, owner.gid);
        }
    });

    test('another user than the owner is told what only root can see, and what to do', () => {
        const cli = path.join(patient.directory, 'bin/switchboard');
        const { status, stdout } = spawnSync('setpriv', ['--reuid=nobody', '--regid=www-data', '--clear-groups', cli, 'doctor', '--json',
            '--url', patient.base, '--cron', patient.cron, '--logrotate', patient.logrotate],
            { encoding: 'utf8', env: { PATH: process.env.PATH, SWITCHBOARD_ENV: patient.envFile } });
        assert.equal(status, 1);
        const findings = JSON.parse(stdout).filter(({ level }) => level !== 'ok');
        const of = (name) => findings.filter(({ check }) => check === name).map(({ what, do: advice }) => `${what}: ${advice}`).join('\n');
        assert.match(of('owner'), /belongs to www-data, but this runs as nobody.*: run this as root or as that user/);
        assert.match(of('programs'), /: run this as root$/);
        assert.match(of('files'), /switchboard\.db cannot be looked at \(Permission denied\): run this as root/);
    });

    test('found: a process runs a program that was replaced', async () => {
        const program = path.join(patient.directory, 'cgi-bin/health');
        await patient.call('/api/health');
        copyFileSync(program, `${program}.new`);
        chmodSync(`${program}.new`, 0o755);
        renameSync(`${program}.new`, program); // as install does
        const found = patient.examine('--server', family, ...nowhere).findings.filter(({ check }) => check === 'programs');
        await patient.restart();
        assert.ok(found.length > 0);
        for (const { what, do: advice } of found) {
            assert.match(what, new RegExp(`^process \\d+ runs a replaced ${program}$`));
            assert.match(advice, { lighttpd: /reload lighttpd/, apache: /reload apache2/, nginx: /switchboard-spawn\.sh stop and start/ }[family]);
        }
        onMachine([]);
    });

    for (const [name, file] of [['cron', patient.cron], ['logrotate', patient.logrotate]])
        test(`found: ${name} passes over a file that others than root can write`, () => withMode(file, 0o664, () =>
            assertFound(name, `${file} is passed over, since not root alone can change it`, `chown root ${file}; chmod 0644 ${file}`)));

    test('found: cron runs as another user than the owner', () => withText(patient.cron, (text) => text.replace(/www-data (.* clean\b)/, 'nobody $1'), () =>
        assertFound('cron', `${patient.cron} runs \`switchboard clean\` as nobody, who is refused`, 'say www-data in its sixth column')));

    test('found: logrotate acts as another user than the owner', () => withText(patient.logrotate, (text) => text.replace(/^ *su .*$/m, ''), () =>
        assertFound('logrotate', `${patient.logrotate} rotates as root, not as www-data`, 'say in its block: su www-data adm')));

    test('found: a line of the crontab is missing', () => withText(patient.cron, (text) => text.replace(/^(.*switchboard clean\b)/m, '#$1'), () =>
        assertFound('cron', `${patient.cron} does not run \`switchboard clean\``,
                    'add the line of /usr/local/share/switchboard/cron/switchboard')));

    test('found: there is no crontab', () => {
        const none = path.join(patient.directory, 'none');
        assertFound('cron', `${none} cannot be read (No such file or directory)`,
                    `install -m 644 /usr/local/share/switchboard/cron/switchboard ${none}`, '--cron', none);
    });

    test('found: there is no configuration for logrotate, or one for other logs', () => {
        const none = path.join(patient.directory, 'none');
        assertFound('logrotate', `${none} cannot be read (No such file or directory)`,
                    `install -m 644 /usr/local/share/switchboard/logrotate/switchboard ${none}`, '--logrotate', none);
        withText(patient.logrotate, (text) => text.replace(LOG_DIR, '/var/log/other'), () =>
            assertFound('logrotate', `${patient.logrotate} does not rotate the logs of LOG_DIR`, `begin its block with ${LOG_DIR}/*.log {`));
    });
}

function withText(file, change, use) {
    const before = readFileSync(file, 'utf8'), text = change(before);
    assert.notEqual(text, before);
    writeFileSync(file, text);
    try {
        use();
    } finally {
        writeFileSync(file, before);
    }
}

test('found: a socket is open to all, where others can come to it', async () => {
    const directory = path.join(RUN_DIR, 'fcgi'), file = path.join(directory, 'open.sock');
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, 0o711);
    const listener = net.createServer();
    await new Promise((resolve) => listener.listen(file, resolve));
    try {
        chmodSync(file, 0o666);
        assertFound('sockets', `the socket ${file} is open to all`, `chmod 0600 ${file}; in switchboard@.socket: SocketMode=0600`);
        chmodSync(file, 0o660);
        onMachine([]);
        chmodSync(file, 0o666);
        chmodSync(directory, 0o700);
        if (asRoot) onMachine([]);
    } finally {
        await new Promise((resolve) => listener.close(resolve));
        rmSync(directory, { recursive: true, force: true });
    }
});

test('found: the disk is nearly full', () => {
    const [found] = onMachine(['disk'], '--disk-min', '1000000000');
    assert.match(found.what, new RegExp(`^the disk of ${STATE_DIR} has \\d+ MiB left, less than 1000000000$`));
});

test('found: the database has an old schema', () => {
    const sql = (text) => execFileSync('sqlite3', [database, text], { encoding: 'utf8',
        ...(asRoot ? { uid: statSync(STATE_DIR).uid, gid: statSync(STATE_DIR).gid } : {}) }).trim();
    const newest = Number(sql('PRAGMA user_version'));
    sql('PRAGMA user_version = 1');
    try {
        assertFound('schema', `the database has schema 1, this build wants ${newest}`, 'switchboard migrate');
        sql(`PRAGMA user_version = ${newest + 1}`);
        const [found] = patient.examine(...nowhere).findings.filter(({ check }) => check === 'schema');
        assert.equal(found.level, 'warn');
        assert.match(found.what, new RegExp(`schema ${newest + 1}, newer than this build's ${newest}`));
    } finally {
        sql(`PRAGMA user_version = ${newest}`);
    }
});

test('found: there is no database', () => {
    const none = path.join(STATE_DIR, 'none.db');
    const env = path.join(patient.directory, 'other.env');
    copyFileSync(patient.envFile, env);
    writeFileSync(env, `${readFileSync(env, 'utf8')}DATABASE_URL=sqlite:none.db\n`);
    const before = patient.envFile;
    patient.envFile = env;
    try {
        patient.share();
        assertFound('schema', `there is no database that can be opened at ${none}`, 'switchboard migrate');
        assert.ok(!existsSync(none));
    } finally {
        patient.envFile = before;
    }
});

test('found: a directory is missing', () => {
    const log = `${LOG_DIR}-away`;
    renameSync(LOG_DIR, log);
    try {
        const found = patient.examine(...nowhere).findings.filter(({ check }) => check === 'directories');
        assert.equal(found.length, 1, JSON.stringify(found));
        assert.equal(found[0].what, `LOG_DIR ${LOG_DIR} does not exist`);
        assert.match(found[0].do, /systemd-tmpfiles --create/);
    } finally {
        if (existsSync(LOG_DIR)) rmSync(LOG_DIR, { recursive: true });
        renameSync(log, LOG_DIR);
    }
});

test('in the end nothing is found', () => patient.assertFinds([]));

ends(patient);
