// A site of a test's own: directories, environment file, programs, tokens and rows. Run by root,
// everything belongs to www-data, as on a real machine; else to the user who runs the tests.
import { execFileSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { processesOf } from './process.mjs';

export const build = path.resolve(process.env.SB_BUILD ?? 'build/release');
export const checkout = path.resolve(build, '../..');
export const root = process.getuid() === 0;
export const here = path.dirname(fileURLToPath(import.meta.url));

const JWT_SECRET = randomBytes(32).toString('hex');

function numberOf(flag) {
    return Number(execFileSync('id', [flag, 'www-data'], { encoding: 'utf8' }));
}

export const owner = root
    ? { uid: numberOf('-u'), gid: numberOf('-g') }
    : { uid: process.getuid(), gid: process.getgid() };

function base64url(value) {
    return Buffer.from(value).toString('base64url');
}

export function token(sub) {
    const head = base64url(JSON.stringify({ alg: 'HS256', typ: 'JWT' }));
    const now = Math.floor(Date.now() / 1000);
    const claims = base64url(JSON.stringify({ sub, iat: now, exp: now + 3600 }));
    const mac = createHmac('sha256', JWT_SECRET).update(`${head}.${claims}`).digest('base64url');
    return `${head}.${claims}.${mac}`;
}

function defaults(dir) {
    return {
        STATE_DIR: path.join(dir, 'state'),
        RUN_DIR: path.join(dir, 'run'),
        LOG_DIR: path.join(dir, 'log'),
        JWT_SECRET,
        JITSI_JWT_SECRET: JWT_SECRET,
        RATE_LIMIT_DEFAULT: 'off',
        RATE_LIMIT_HEALTH: 'off',
        RATE_LIMIT_CALLS_START: 'off',
    };
}

class Site {
    constructor(settings, programs) {
        this.dir = fs.mkdtempSync('/tmp/sb-robust-');
        fs.chmodSync(this.dir, 0o711);
        this.settings = { ...defaults(this.dir), ...settings };
        for (const name of ['state', 'run', 'log']) {
            fs.mkdirSync(path.join(this.dir, name), { mode: 0o711 });
            fs.chownSync(path.join(this.dir, name), owner.uid, owner.gid);
        }
        this.env = path.join(this.dir, 'switchboard.env');
        this.configure({});
        this.programs = programs;
        this.cgiBin = path.join(programs, 'cgi-bin');
        this.database = path.join(this.dir, 'state', 'switchboard.db');
        this.asOwner(path.join(programs, 'bin', 'switchboard'), ['migrate']);
    }

    configure(settings) {
        Object.assign(this.settings, settings);
        const lines = Object.entries(this.settings).map(([name, value]) => `${name}=${value}\n`);
        fs.writeFileSync(this.env, lines.join(''), { mode: 0o640 });
        fs.chownSync(this.env, owner.uid, owner.gid);
    }

    asOwner(program, args, options = {}) {
        return execFileSync(program, args, {
            encoding: 'utf8',
            env: { ...process.env, SWITCHBOARD_ENV: this.env },
            stdio: ['pipe', 'pipe', 'pipe'],
            ...owner,
            ...options,
        });
    }

    sql(text) {
        return this.asOwner('sqlite3', ['-bail', '-cmd', '.timeout 5000', this.database], {
            input: text,
            maxBuffer: 64 * 1024 * 1024,
        }).trim();
    }

    // count threads prefix0, prefix1, ... that user is a member of.
    seedThreads(user, prefix, count) {
        const now = Date.now();
        const threads = Array.from({ length: count }, (_, i) => `${prefix}${i}`);
        this.sql(`BEGIN;
            INSERT OR IGNORE INTO users VALUES ('${user}', '${user}', 'user', NULL, ${now});
            ${threads
                .map(
                    (id) => `INSERT INTO threads VALUES ('${id}', ${now});
                    INSERT INTO thread_members VALUES ('${id}', '${user}', 'member', ${now});`,
                )
                .join('\n')}
            COMMIT;`);
        return threads;
    }

    // The log's lines as objects; those of one endpoint where it is named.
    log(endpoint) {
        const file = path.join(this.dir, 'log', 'switchboard.log');
        if (!fs.existsSync(file)) return [];
        const lines = fs.readFileSync(file, 'utf8').split('\n').slice(0, -1);
        return lines.map((line) => JSON.parse(line)).filter((line) => !endpoint || line.endpoint === endpoint);
    }

    // Nothing may run any more of what the test started.
    remove() {
        const left = processesOf(this.dir);
        left.forEach((pid) => process.kill(pid, 'SIGKILL'));
        if (left.length > 0) throw new Error(`processes left of ${this.dir}: ${left}`);
        fs.rmSync(this.dir, { recursive: true, force: true });
    }
}

export function makeSite(settings = {}, programs = build) {
    return new Site(settings, programs);
}

// A copy of the built programs: to replace one, or to find the processes of one test.
export function copyPrograms(dir) {
    fs.mkdirSync(dir, { mode: 0o755 });
    for (const part of ['cgi-bin', 'bin'])
        execFileSync('cp', ['-a', path.join(build, part), path.join(dir, part)]);
    return dir;
}

// A copy of the checkout with what is built, so that `make` in it only builds what is new.
export function copyCheckout(dir) {
    fs.mkdirSync(dir, { mode: 0o755 });
    const sources = ['Makefile', 'lib', 'cgi-bin', 'bin', 'etc'];
    execFileSync('cp', ['-a', ...sources.map((name) => path.join(checkout, name)), dir]);
    fs.mkdirSync(path.join(dir, 'tests/unit'), { recursive: true });
    const built = path.join(dir, 'build', path.basename(build));
    fs.mkdirSync(built, { recursive: true });
    for (const part of ['made-for', 'obj', 'cgi-bin', 'bin', 'libswitchboard.a'])
        execFileSync('cp', ['-a', path.join(build, part), built]);
    return { dir, built };
}

// make as a newcomer runs it: nothing of a surrounding make may reach it.
export function make(dir, ...targets) {
    const env = { ...process.env };
    for (const name of ['MAKEFLAGS', 'MFLAGS', 'MAKELEVEL', 'MODE']) delete env[name];
    const mode = path.basename(build);
    const args = ['-C', dir, ...(mode === 'release' ? [] : [`MODE=${mode}`]), ...targets];
    return execFileSync('make', args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] });
}
