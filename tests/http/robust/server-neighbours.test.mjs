// What else a server serves stays as it was: other virtual hosts, and the site's own rules.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from '../support/port.mjs';
import { processesOf } from './support/process.mjs';
import { call, server } from './support/server.mjs';
import { checkout, copyPrograms, makeSite, owner } from './support/site.mjs';
import { until, within } from './support/wait.mjs';

const etc = path.join(checkout, 'etc');
let site;
before(() => {
    site = makeSite();
    site.programs = copyPrograms(path.join(site.dir, 'programs'));
    site.cgiBin = path.join(site.programs, 'cgi-bin');
});
after(() => site.remove());

// The endpoints, for a server that does not start them.
const beside = server === 'nginx' || server === 'apache-proxy';
const inRun = (name) => path.join(site.dir, 'run', name);
const generate = (name) => site.asOwner(path.join(etc, name), [site.cgiBin, inRun('')]);
const endpoints = (verb) => site.asOwner(path.join(etc, 'nginx/switchboard-spawn.sh'), [verb, site.cgiBin, inRun(''), site.env]);

const serverLog = () => {
    const file = path.join(site.dir, 'log', `${server.split('-')[0]}.log`);
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
};

// Starts the server with a configuration of the test's own, as the owner.
async function withServer(command, use, ready) {
    if (beside) endpoints('start');
    const child = spawn(command[0], command.slice(1), { ...owner, stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, SWITCHBOARD_ENV: site.env } });
    let errors = '', status;
    child.stderr.on('data', (data) => (errors += data));
    const ended = new Promise((resolve) => child.once('exit', (code, by) => resolve((status = code ?? by))));
    try {
        await until(`${command[0]} answers`, () => {
            if (status !== undefined) throw new Error(`${command[0]} did not start (${status}): ${errors}${serverLog()}`);
            return ready();
        }, 15000);
        return await use();
    } finally {
        child.kill('SIGTERM');
        await within('its end', ended, 20000);
        if (beside) endpoints('stop');
        await until('all is gone', () => processesOf(site.dir).length === 0, 20000);
    }
}

function page(dir, name, text) {
    const file = path.join(dir, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    if (fs.existsSync(file)) return;
    fs.writeFileSync(file, text);
    fs.utimesSync(file, 1e9, 1e9); // not of this second: then Apache's ETag changes with its age
}

// What of an answer must not change.
function same({ status, headers, text }) {
    const { date, ...rest } = headers;
    return { status, headers: { ...rest, dated: date !== undefined }, text };
}

const proxied = server === 'apache-proxy'; // by mod_proxy_fcgi
const apache = {
    modules: ['mpm_event', 'authz_core', 'mime', 'dir', 'alias', 'rewrite',
        ...(proxied ? ['env', 'proxy', 'proxy_fcgi'] : ['macro', 'fcgid'])],

    // What an admin writes: in the configuration once, and in the virtual host that has the endpoints.
    once: () => (proxied ? '' : `Define SWITCHBOARD_CGI_BIN "${site.cgiBin}"
        Define SWITCHBOARD_ENV "${site.env}"
        FcgidIPCDir "${site.dir}/run/fcgid"
        FcgidProcessTableFile "${site.dir}/run/fcgid.table"
        Include "${etc}/apache/switchboard.conf"\n`),
    use: () => (proxied ? `Include "${inRun('switchboard-proxy.conf')}"` : 'Use Switchboard'),

    host(name, use) {
        const docroot = path.join(site.dir, name);
        page(docroot, 'index.html', `index of ${name}`);
        page(docroot, 'api/health', `health of ${name}`);
        page(docroot, 'api/index.html', `api of ${name}`);
        page(docroot, 'missing.html', `nothing here, says ${name}`);
        page(docroot, 'scripts/health.txt', `the script of ${name}`);
        return `<VirtualHost *>
            ServerName ${name}.example
            DocumentRoot "${docroot}"
            ErrorDocument 404 /missing.html
            ${use}
            AliasMatch "^/api/(.*)\\.php$" "${docroot}/scripts/$1.txt"
            RewriteEngine On
            RewriteRule "^/old$" "/" [R=301,L]
            RewriteRule "^/front/.*" "/index.html" [L]
            </VirtualHost>\n`;
    },

    config(port, switchboard) {
        const load = this.modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so\n`);
        return `${load.join('')}
            ServerRoot "${site.dir}/run"
            DefaultRuntimeDir "${site.dir}/run"
            PidFile "${site.dir}/run/apache.pid"
            ServerName localhost
            Listen 127.0.0.1:${port}
            ErrorLog "${site.dir}/log/apache.log"
            TypesConfig /etc/mime.types
            DirectoryIndex index.html
            <Directory "${site.dir}">
                Require all granted
            </Directory>
            ${switchboard ? this.once() : ''}
            ${this.host('first', '')}
            ${this.host('second', switchboard ? this.use() : '')}
            ${this.host('third', '')}`;
    },

    async run(switchboard, use) {
        const port = await freePort();
        const file = path.join(site.dir, 'apache.conf');
        if (proxied) fs.writeFileSync(inRun('switchboard-proxy.conf'), generate('apache/switchboard-proxy.sh'));
        fs.writeFileSync(file, this.config(port, switchboard));
        return withServer(['apache2', '-D', 'FOREGROUND', '-f', file], () => use(port),
            async () => (await call(port, 'GET', '/', { host: 'first.example' })).status === 200);
    },
};

const URLS = ['/', '/api', '/api/', '/api/health', '/api/health.php', '/api/config', '/api/calls/start',
    '/api/none', '/api/none.php', '/none', '/old', '/front/door', '/api/..', '/api/%2e%2e/', '/api/a%2Fb'];

async function look(port, host) {
    const seen = {};
    for (const method of ['GET', 'HEAD', 'POST'])
        for (const url of URLS) seen[`${method} ${url}`] = same(await call(port, method, url, { host, ...(method === 'POST' ? { body: '{}' } : {}) }));
    return seen;
}

if (server === 'apache' || proxied) {
    test('of three virtual hosts the two that do not name Switchboard answer exactly as before', async () => {
        const hosts = ['first.example', 'third.example'];
        const both = async (port) => Object.fromEntries(await Promise.all(hosts.map(async (host) => [host, await look(port, host)])));
        const before = await apache.run(false, both);
        assert.equal(before['first.example']['GET /api/health'].text, 'health of first');
        assert.equal(before['third.example']['GET /api/health.php'].text, 'the script of third');
        assert.match(before['third.example']['GET /api/none'].text, /says third/);
        await apache.run(true, async (port) => {
            assert.deepEqual(await both(port), before);
            const own = (url) => call(port, 'GET', url, { host: 'second.example' });
            for (const url of ['/api/health', '/api/health.php', '/api/config'])
                assert.equal((await own(url)).json.success, true, url);
            assert.equal((await own('/api/none')).json.error.code, 'not_found');
            assert.equal((await own('/')).text, 'index of second', 'and the rest of its site');
            assert.equal((await own('/old')).status, 301);
            assert.match((await own('/none')).text, /says second/);
            assert.deepEqual(await both(port), before, 'also after the endpoints were used');
        });
    });
}

if (server === 'nginx') {
    const config = (port, rules) => `daemon off;
        pid "${site.dir}/run/nginx.pid";
        error_log "${site.dir}/log/nginx.log";
        events { }
        http {
            access_log off;
            client_body_temp_path "${site.dir}/run/body";
            fastcgi_temp_path "${site.dir}/run/fastcgi";
            proxy_temp_path "${site.dir}/run/proxy";
            scgi_temp_path "${site.dir}/run/scgi";
            uwsgi_temp_path "${site.dir}/run/uwsgi";
            server {
                listen 127.0.0.1:${port};
                location = / { return 200 "the site"; }
                ${rules(`include "${inRun('endpoints.conf')}";`)}
            }
        }`;
    const php = 'location ~ \\.php$ { return 200 "the site\'s PHP"; }';

    for (const [where, rules] of [['before', (include) => `${php}\n${include}`], ['behind', (include) => `${include}\n${php}`]]) {
        test(`a site's own \\.php$ location ${where} the include does not take /api/health.php`, async () => {
            const port = await freePort();
            fs.writeFileSync(inRun('endpoints.conf'), generate('nginx/switchboard-nginx.sh'));
            const file = path.join(site.dir, 'nginx.conf');
            fs.writeFileSync(file, config(port, rules));
            const get = (url) => call(port, 'GET', url);
            const command = ['nginx', '-e', path.join(site.dir, 'log/nginx.log'), '-c', file];
            await withServer(command, async () => {
                const answer = await get('/api/health.php');
                assert.equal(answer.json.success, true, answer.text);
                assert.equal((await get('/index.php')).text, "the site's PHP");
                assert.equal((await get('/apiary.php')).text, "the site's PHP");
                assert.equal((await get('/api/none.php')).json.error.code, 'not_found');
            }, async () => (await get('/')).status === 200);
        });
    }
}

if (server === 'lighttpd') {
    test("a site's own .php and default rules do not take /api, nor does /api take the site's", async () => {
        const port = await freePort();
        const docroot = path.join(site.dir, 'htdocs');
        page(docroot, 'index.html', 'the site');
        page(docroot, 'apiary.html', 'bees');
        const file = path.join(site.dir, 'lighttpd.conf');
        fs.writeFileSync(file, `server.modules = ( "mod_setenv", "mod_fastcgi" )
            server.bind = "127.0.0.1"
            server.port = ${port}
            server.document-root = "${docroot}"
            server.errorlog = "${site.dir}/log/lighttpd.log"
            server.upload-dirs = ( "${site.dir}/run" )
            index-file.names = ( "index.html" )
            mimetype.assign = ( ".html" => "text/html" )
            fastcgi.server = ( ".php" => (( "socket" => "${site.dir}/no-php.sock", "check-local" => "disable" )) )
            var.switchboard_etc = "${etc}"
            var.switchboard_cgi_bin = "${site.cgiBin}"
            var.switchboard_run = "${site.dir}/run"
            var.switchboard_env = "${site.env}"
            include "${etc}/lighttpd/switchboard.conf"\n`);
        const get = (url) => call(port, 'GET', url);
        await withServer(['lighttpd', '-D', '-f', file], async () => {
            assert.equal((await get('/api/health.php')).json.success, true);
            assert.equal((await get('/apiary.html')).text, 'bees');
            assert.equal((await get('/index.php')).status, 503, 'the site\'s PHP, which is not running');
            assert.equal((await get('/api/none.php')).json.error.code, 'not_found');
        }, async () => (await get('/')).status === 200);
    });
}
