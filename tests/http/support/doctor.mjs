// A web server with something broken on purpose, and the doctor that looks at it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { asRoot, root, server as kind } from './context.mjs';
import { Server } from './server.mjs';

/** As --server names it. */
export const family = kind.replace('apache-proxy', 'apache');

// Without root's rights the doctor cannot look at other users' processes, nor are the files that cron
// and logrotate read root's.
export const always = asRoot ? [] : ['cron', 'logrotate', 'programs'];

const include = {
    lighttpd: 'include var.switchboard_etc + "/lighttpd/switchboard.conf"\n',
    apache: '    Use Switchboard\n',
    'apache-proxy': '    Include "$dir/endpoints.conf"\n',
    nginx: '        include "$dir/endpoints.conf";\n',
}[kind];

function edit(file, pairs) {
    let text = readFileSync(file, 'utf8');
    for (const [from, to] of pairs) {
        assert.ok(text.includes(from), `${file} has no ${JSON.stringify(from)} to change`);
        text = text.replace(from, () => to);
    }
    writeFileSync(file, text);
}

/** before, behind: lines of the site around Switchboard's in the server's configuration; modules: more
 * of Apache's; files: {name below etc: [[text, its replacement], ...]}; env: of the installation. */
export class Patient extends Server {
    constructor({ before = '', behind = '', modules = '', files = {}, env = {} } = {}) {
        super({ RATE_LIMIT_HEALTH_STREAM: 'off', ...env });
        this.etc = path.join(this.directory, 'etc');
        cpSync(path.join(root, 'etc'), this.etc, { recursive: true });
        const shell = (text) => text.replaceAll('$', '\\$').replaceAll('\\$dir', '$dir');
        edit(path.join(this.etc, 'serve.sh'),
             [[include, `${shell(before)}\n${include}${shell(behind)}\n`],
              ['dir alias rewrite headers "$@"', `dir alias rewrite headers ${modules.replace('headers', '')} "$@"`]]);
        for (const [name, pairs] of Object.entries(files)) edit(path.join(this.etc, name), pairs);
        this.cron = this.copy('cron/switchboard', 'crontab', 'www-data');
        this.logrotate = this.copy('logrotate/switchboard', 'logrotate', '/var/log/switchboard');
        this.share();
    }

    configure(env) {
        super.configure(env);
        this.share();
    }

    // The endpoints' user reads the file, nobody else does.
    share() {
        if (!asRoot) return;
        chownSync(this.envFile, 0, Number(spawnSync('id', ['-g', 'www-data'], { encoding: 'utf8' }).stdout));
        chmodSync(this.envFile, 0o640);
    }

    /** A file of the checkout as an administrator would have installed it. */
    copy(from, name, placeholder) {
        const file = path.join(this.directory, name);
        const user = asRoot ? 'www-data' : spawnSync('id', ['-un'], { encoding: 'utf8' }).stdout.trim();
        const text = readFileSync(path.join(root, from), 'utf8').replaceAll('/var/log/switchboard', this.env.LOG_DIR);
        writeFileSync(file, placeholder === 'www-data' || !asRoot ? text.replaceAll('www-data', user) : text);
        chmodSync(file, 0o644);
        return file;
    }

    /** What the doctor finds: {status, stdout, stderr, findings: [{level, check, what, do}, ...]}. */
    examine(...more) {
        const { status, stdout, stderr } = this.switchboard([
            'doctor', '--json', '--url', this.base, '--cron', this.cron, '--logrotate', this.logrotate,
            '--server-config', path.join(this.env.RUN_DIR, `serve-${this.port}`, 'server.conf'),
            '--disk-min', '1', ...more]);
        const report = JSON.parse(stdout);
        const findings = report.filter(({ level }) => level !== 'ok');
        assert.equal(status, findings.length === 0 ? 0 : 1, stderr);
        return { status, stdout, stderr, report, findings };
    }

    /** Nothing but these checks may find something, each of them once; gives their findings. */
    assertFinds(checks, ...more) {
        const { findings } = this.examine(...more);
        const wanted = [...always, ...checks].sort();
        assert.deepEqual(findings.map(({ check }) => check).sort(), wanted, JSON.stringify(findings, null, 1));
        return findings.filter(({ check }) => !always.includes(check));
    }
}
