// Every way a site breaks its installation is done to a real server here, and the doctor must find it,
// say what to change, and find nothing else.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import test, { after, describe } from 'node:test';
import { server as kind } from './support/context.mjs';
import { Patient, always, family } from './support/doctor.mjs';
import { authority } from './support/smtp.mjs';

const snippet = { lighttpd: 'lighttpd/switchboard.conf', apache: 'apache/switchboard.conf',
    'apache-proxy': 'apache/switchboard-proxy.sh', nginx: 'nginx/switchboard-params.conf' }[kind];
const change = (from, to) => ({ files: { [snippet]: [[from, to]] } });
const inApi = (lines) => `$HTTP["url"] =~ "^/api" { ${lines} }`; // lighttpd
const params = (line) => change('fastcgi_keep_conn off;', `fastcgi_keep_conn off;\n${line}`); // nginx

// What breaks mod_fcgid's site breaks mod_proxy_fcgi's, unless it is said how.
const sameAs = kind === 'apache-proxy' ? 'apache' : kind;

// name of the case: {check, how the site is broken, do: what the advice must name}. `mended` is the same
// site after the advice was followed.
const cases = {
    'a header of the site is added to ours': {
        check: 'headers', what: /^X-Frame-Options of \/api\/health is (there twice|changed)$/,
        lighttpd: { behind: 'setenv.add-response-header = ( "X-Frame-Options" => "SAMEORIGIN" )', do: /setenv\.add-response-header/,
            mended: { behind: '$HTTP["url"] !~ "^/api(?:/|$)" { setenv.add-response-header = ( "X-Frame-Options" => "SAMEORIGIN" ) }' } },
        apache: { modules: 'headers', behind: 'Header always add X-Frame-Options SAMEORIGIN', do: /`Header` line/,
            mended: { modules: 'headers', behind: 'Header always add X-Frame-Options SAMEORIGIN "expr=%{REQUEST_URI} !~ m#^/api(/|$)#"' } },
        nginx: { behind: 'add_header X-Frame-Options SAMEORIGIN;', do: /add_header X-Api ""/,
            mended: { behind: 'add_header X-Frame-Options SAMEORIGIN;', ...params('add_header X-Api "";') } },
    },
    'a header of ours is replaced or taken out': {
        check: 'headers', what: /^Content-Security-Policy of \S+ is (changed|missing)$/,
        lighttpd: { behind: 'setenv.set-response-header = ( "Content-Security-Policy" => "default-src *" )', do: /set-response-header/ },
        apache: { modules: 'headers', behind: 'Header set Content-Security-Policy "default-src *"\nHeader always unset Content-Security-Policy', do: /expr=/ },
        nginx: { ...params('fastcgi_hide_header Content-Security-Policy;'), do: /switchboard-params\.conf/ },
    },
    'Authorization is lost on the way': {
        check: 'authorization', what: /^Authorization does not reach the endpoints$/,
        lighttpd: { behind: inApi('setenv.set-request-header = ( "Authorization" => "" )'), do: /setenv\.set-request-header/ },
        apache: { ...change('        CGIPassAuth On\n', ''), do: /CGIPassAuth On/ },
        'apache-proxy': { ...change('    CGIPassAuth On\n', ''), do: /CGIPassAuth On/ },
        nginx: { ...params('fastcgi_param HTTP_AUTHORIZATION "";'), do: /fastcgi_param HTTP_AUTHORIZATION/ },
    },
    "the site's error page takes the place of our 404": {
        check: 'not-found', what: /answered with 404 text\/html.*, not by an endpoint$/,
        lighttpd: { behind: 'server.error-intercept = "enable"', do: /server\.error-intercept = "disable"/,
            mended: { behind: `server.error-intercept = "enable"\n${'$HTTP["url"] =~ "^/api(?:/|$)" { server.error-intercept = "disable" }'}` } },
        apache: { behind: '<Location "/api">\nErrorDocument 404 "<p>nothing here</p>"\n</Location>', do: /ErrorDocument/ },
        'apache-proxy': { behind: 'ProxyErrorOverride On 404', do: /no ProxyErrorOverride/ },
        nginx: { behind: 'fastcgi_intercept_errors on;\nerror_page 404 /lost.html;\nlocation = /lost.html { internal; default_type text/html; return 404 "lost"; }',
            do: /fastcgi_intercept_errors off/ },
    },
    "the site's PHP takes our .php alias": {
        check: 'alias', what: /^\/api\/health\.php is answered with \d+ .*, not by an endpoint$/,
        lighttpd: { behind: '$HTTP["url"] =~ "\\\\.php$" { fastcgi.server = ( ".php" => (( "socket" => "$dir/no-php.sock", "check-local" => "disable" )) ) }',
            do: /behind the site's own fastcgi\.server/ },
        apache: { before: 'AliasMatch "^/(.*)\\\\.php$" "$dir/empty/$1.php"', do: /before the site's AliasMatch/ },
        'apache-proxy': { before: 'ProxyPassMatch "^/(.*\\\\.php)$" "unix:$dir/no-php.sock|fcgi://php/"', do: /ProxyPassMatch/ },
        nginx: { behind: 'location ~ \\\\.php$ { return 200 "php"; }', files: { 'nginx/switchboard-nginx.sh': [['"location ^~ /api/ {', '"location /api/ {'], ['{ nested = nested "    location = "', '0 { nested = nested "    location = "']] },
            do: /location \^~ \/api\// },
    },
    'bodies over 10 KiB are refused by the server': {
        check: 'body-limit', what: /^a body of 64 KiB is answered with 413 text\/html/,
        lighttpd: { behind: inApi('server.max-request-size = 10'), do: /server\.max-request-size = 26624/ },
        apache: { ...change('-gt 27262976', '-gt 10240'), do: /FcgidMaxRequestLen/ },
        'apache-proxy': { ...change('-gt 27262976', '-gt 10240'), do: /LimitRequestBody/ },
        nginx: { ...change('client_max_body_size 26m;', 'client_max_body_size 10k;'), do: /client_max_body_size 26m/ },
    },
    'bodies of JSON pass, recordings do not': {
        check: 'body-limit', what: /^a body of 26560 KiB is answered with (413|500) text\/html/,
        lighttpd: { behind: inApi('server.max-request-size = 1024'), do: /server\.max-request-size/ },
        apache: { ...change('FcgidMaxRequestLen 27262976', 'FcgidMaxRequestLen 131072'), do: /FcgidMaxRequestLen 27262976/ },
        'apache-proxy': null, // mod_proxy_fcgi counts only what an endpoint reads
        nginx: { ...change('client_max_body_size 26m;', ''), do: /client_max_body_size/ },
    },
    'bodies are dropped without a word': {
        check: 'body-limit', what: /^a body of 64 KiB does not arrive$/,
        apache: { behind: '<Location "/api">\nLimitRequestBody 10240\n</Location>', do: /no LimitRequestBody in a <Location>/ },
        'apache-proxy': null, // it refuses
    },
    'events are held back until the end': {
        check: 'stream', what: /^events sent 300 ms apart arrive within \d+ ms$/,
        lighttpd: { behind: inApi('server.stream-response-body = 0'), do: /server\.stream-response-body = 1/ },
        apache: { ...change('FcgidOutputBufferSize 0', 'FcgidOutputBufferSize 65536'), do: /FcgidOutputBufferSize 0/ },
        'apache-proxy': { ...change('flushpackets=on ', ''), do: /flushpackets=on/ },
        nginx: { ...params('fastcgi_ignore_headers X-Accel-Buffering;'), do: /X-Accel-Buffering/ },
    },
    'a CORS header of the site is added to ours': {
        check: 'preflight', what: /Access-Control-Allow-Origin|every origin/, many: true,
        lighttpd: { behind: 'setenv.add-response-header = ( "Access-Control-Allow-Origin" => "*" )', do: /Access-Control/ },
        apache: { modules: 'headers', behind: 'Header always add Access-Control-Allow-Origin "*"', do: /Access-Control/ },
        nginx: { behind: 'add_header Access-Control-Allow-Origin "*" always;', do: /Access-Control/ },
    },
    'preflights are answered by the site': {
        check: 'preflight', what: /^(a preflight|the preflight of an origin that is not allowed) is answered with/, many: true,
        apache: { before: 'RewriteEngine On\nRewriteCond %{REQUEST_METHOD} =OPTIONS\nRewriteRule ^ - [R=204,END]', do: /rewriting of OPTIONS/ },
        nginx: { behind: 'if ($request_method = OPTIONS) { return 204; }', do: /if \(\$request_method = OPTIONS\)/ },
    },
    'connections to the endpoints are kept open': {
        check: 'keep-alive', what: /are kept$/,
        apache: { modules: kind === 'apache' ? 'proxy proxy_fcgi' : '', behind: 'ProxyPass "/proxied" "unix:$dir/none.sock|fcgi://none/" enablereuse=on', do: /server\.conf:\d+: enablereuse=off$/ },
        nginx: { ...change('fastcgi_keep_conn off;', 'fastcgi_keep_conn on;'), do: /switchboard-params\.conf:\d+: fastcgi_keep_conn off;$/ },
    },
};

async function withPatient(broken, use) {
    const patient = await new Patient({ env: { ALLOWED_ORIGINS: 'https://site.example' }, ...broken }).start();
    try {
        await use(patient);
    } finally {
        await patient.stop();
        patient.remove();
    }
}

// A few at once: most of the time is waiting for a server to start and stop.
describe('what breaks a site', { concurrency: 4 }, () => {
    for (const [name, { check, what, many, ...servers }] of Object.entries(cases)) {
        const broken = kind in servers ? servers[kind] : servers[sameAs];
        if (!broken) continue;
        test(`found: ${name}`, () => withPatient(broken, (patient) => {
            const findings = many ? patient.examine().findings.filter((found) => !always.includes(found.check))
                : patient.assertFinds([check]);
            const failed = findings.filter(({ level }) => level === 'fail');
            assert.ok(failed.length > 0, 'nothing was found');
            for (const found of failed) {
                assert.equal(found.check, check, JSON.stringify(findings));
                assert.match(found.what, what);
                assert.match(found.do, broken.do);
            }
        }));
        if (broken.mended)
            test(`mended as advised: ${name}`, () => withPatient(broken.mended, (patient) => patient.assertFinds([])));
    }
});

const sound = await new Patient().start();
after(async () => {
    await sound.stop();
    sound.remove();
});

test('nothing is found on a sound site', () => sound.assertFinds([]));

test('nothing is found where every origin may call and the CSP only reports', () => withPatient(
    { env: { CSP_REPORT_ONLY: 'true', ALLOWED_ORIGINS: '*' } }, (patient) => patient.assertFinds([])));

test('the report has a line for each check, for people and for programs, and no secret', () => {
    const { report, stdout } = sound.examine();
    const names = report.map(({ check }) => check);
    assert.equal(new Set(names).size, names.length);
    const text = sound.switchboard(['doctor', '--url', `${sound.base}/`, '--cron', sound.cron, '--logrotate', sound.logrotate]);
    const lines = text.stdout.trim().split('\n');
    assert.deepEqual(lines.map((line) => /^(ok|warn|FAIL) +(\S+) +\S/.exec(line)?.[2]), names);
    for (const secret of sound.privates) assert.ok(!`${stdout}${text.stdout}${text.stderr}`.includes(secret));
});

const few = { RATE_LIMIT_HEALTH_STREAM: '1/60', RATE_LIMIT_CALLS_START: '2/60' };
test('a limit that was reached is no fault of the site', () => withPatient({ env: few }, (patient) => {
    patient.assertFinds([]);
    const found = patient.assertFinds(['stream', 'authorization', 'preflight']);
    for (const { level, what } of found) {
        assert.equal(level, 'warn');
        assert.match(what, /rate limited/);
    }
}));

test('a virtual host is found where it is said to be', () => {
    const findings = sound.examine('--url', 'http://www.site.invalid', '--connect', `127.0.0.1:${sound.port}`).findings;
    assert.deepEqual(findings.map(({ check }) => check), always);
});

test('where nobody answers, that is all that is said of the site', () => {
    const [found] = sound.assertFinds(['reach'], '--url', 'http://127.0.0.1:1', '--server', family);
    assert.match(found.what, /no answer/);
    assert.match(found.do, { lighttpd: /lighttpd -tt/, apache: /configtest/, nginx: /switchboard-spawn/ }[family]);
});

/** What the doctor finds of `reach` at url. */
async function unreached(url) {
    const { stdout } = await sound.switchboardBeside('doctor', '--json', '--url', url);
    return JSON.parse(stdout).find(({ check }) => check === 'reach');
}

test('a certificate that cannot be trusted is no server that is down', async () => {
    const server = https.createServer(authority().issue('localhost'));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const found = await unreached(`https://localhost:${server.address().port}`);
    server.close();
    assert.match(found.what, /its certificate is not to be trusted/);
    assert.match(found.do, /^give the web server a certificate .*update-ca-certificates$/);
});

test('http that is not spoken to a public address is said so, and what is', async () => {
    const found = await unreached('http://198.51.100.7');
    assert.match(found.what, /http is spoken to this machine and private addresses alone/);
    assert.equal(found.do, '--url https://HOST');
});

const moved = {
    lighttpd: { files: { 'serve.sh': [['"mod_setenv" )', '"mod_setenv", "mod_redirect" )']] },
        behind: '$HTTP["host"] == "old.example" { url.redirect = ( "" => "https://site.example${url.path}" ) }' },
    apache: { before: 'RewriteEngine On\nRewriteCond %{HTTP_HOST} =old.example\nRewriteRule "^(.*)" "https://site.example$1" [R=301,END]' },
    nginx: { behind: 'if ($host = old.example) { return 301 https://site.example$uri; }' },
}[family];

test('a site that has moved is told from one that is down', () => withPatient(moved, (patient) => {
    const [found] = patient.assertFinds(['reach'], '--url', 'http://old.example', '--connect', `127.0.0.1:${patient.port}`);
    assert.equal(found.what, 'the site is elsewhere: 301 to https://site.example/api/health/live');
    assert.equal(found.do, 'say so with --url');
}));

if (kind === 'nginx' || kind === 'apache-proxy')
    test('endpoints that are down behind a server that is up are found', () => withPatient({}, (patient) => {
        execFileSync(path.join(patient.etc, 'nginx/switchboard-spawn.sh'), ['stop', path.join(patient.directory, 'cgi-bin'),
            path.join(patient.env.RUN_DIR, `serve-${patient.port}`), patient.envFile]);
        const [found] = patient.assertFinds(['reach']);
        assert.match(found.what, /^no endpoint answers \/api\/health\/live, but a 50[23] text\/html/);
        assert.match(found.do, /switchboard-spawn\.sh start/);
    }));

test('an endpoint that is not ready is said, and what to ask next', () => withPatient({ env: { TURN_PORT: '99999' } }, (patient) => {
    const findings = patient.examine().findings.filter(({ check }) => check === 'ready');
    assert.equal(findings.length, 1);
    assert.match(findings[0].what, /\/api\/health\/ready is answered with 503/);
    assert.match(findings[0].do, /switchboard check/);
}));

test('an endpoint of another version is found', () => withPatient({}, (patient) => {
    const file = path.join(patient.directory, 'cgi-bin/health');
    const version = patient.run('version').trim();
    const bytes = readFileSync(file, 'latin1').replaceAll(version, version.replace(/\d/, '9'));
    rmSync(file);
    writeFileSync(file, bytes, { encoding: 'latin1', mode: 0o755 });
    return patient.restart().then(() => {
        const [found] = patient.assertFinds(['version']);
        assert.match(found.what, /^the endpoints are version 9\S+, this command is/);
    });
}));

test('a clock that is wrong is found, the server\'s and the endpoints\'', async () => {
    // Of the server and its programs alone; the faketime command would have serve.sh in it, too.
    const preload = execFileSync('faketime', ['-f', '+0s', 'printenv', 'LD_PRELOAD'], { encoding: 'utf8' }).trim();
    const fake = `env LD_PRELOAD='${preload}' FAKETIME=+120s FAKETIME_DONT_FAKE_MONOTONIC=1`;
    const program = { lighttpd: 'lighttpd', apache: 'apache2', nginx: 'nginx' }[family];
    await withPatient({ files: {
        'serve.sh': [[`launch -- ${program}`, `launch -- ${fake} ${program}`]],
        'nginx/switchboard-spawn.sh': [['"$@" spawn-fcgi', `"$@" ${fake} spawn-fcgi`]],
    } }, (patient) => {
        const { findings } = patient.examine();
        const found = findings.filter(({ check }) => !always.includes(check));
        assert.ok(found.length > 0);
        for (const { check, what, do: advice } of found) {
            assert.equal(check, 'clock', JSON.stringify(found));
            assert.match(what, /clock is 1(1\d|20) s ahead of this machine's clock/);
            assert.match(advice, /set-ntp true/);
        }
        assert.ok(found.some(({ what }) => what.startsWith("the web server's clock")));
        assert.ok(kind === 'apache' || found.some(({ what }) => what.startsWith("the endpoints' clock")), 'mod_fcgid cleans the environment');
    });
});

test('a site nobody named is asked for', () => {
    const { status, stdout, stderr } = sound.switchboard(['doctor']);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /--url http\[s\]:\/\/HOST\[:PORT\], or PRODUCTION_DOMAIN/);
    for (const url of ['ftp://x', 'http://x/path', 'x', ''])
        assert.equal(sound.switchboard(['doctor', '--url', url]).status, 2, url);
    assert.equal(sound.switchboard(['doctor', '--server', 'caddy']).status, 2);
    assert.equal(sound.switchboard(['doctor', '--disk-min', 'much']).status, 2);
});
