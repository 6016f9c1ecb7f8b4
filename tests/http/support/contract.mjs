// Judges every response against docs/openapi.json and the rules that hold for all of them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { build, openapiFile } from './context.mjs';

const Ajv = createRequire('/usr/share/nodejs/')('ajv'); // Debian's node-ajv

export const openapi = JSON.parse(readFileSync(openapiFile, 'utf8'));
const ajv = new Ajv({ allErrors: true, validateSchema: false });
ajv.addSchema(openapi, 'openapi');

function endpointFiles(directory) {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
        const full = path.join(directory, entry.name);
        return entry.isDirectory() ? endpointFiles(full) : [full];
    });
}

/** What each binary says of itself: [{name, aliases, needs, paths}]. */
export const endpoints = endpointFiles(path.join(build, 'cgi-bin')).sort()
    .map((file) => JSON.parse(execFileSync(file, ['--describe'], { encoding: 'utf8' })));

const aliases = new Map(endpoints.flatMap(({ name, aliases: list }) =>
    list.map((alias) => [alias, `/api/${name}`])));

// The paths with {ids}, which come after those written out.
const patterns = Object.keys(openapi.paths).filter((path) => path.includes('{'))
    .map((path) => ({ path, test: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[A-Za-z0-9_-]{1,64}')}$`) }));

/** The documented path of a request target, or undefined. */
function documented(target) {
    const given = target.split('?')[0];
    const name = aliases.get(given) ?? given;
    return name in openapi.paths ? name : patterns.find(({ test }) => test.test(name))?.path;
}

const pointer = (...keys) => 'openapi#/' + keys.map((key) =>
    encodeURIComponent(String(key).replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');

function assertSchema(ref, value, what) {
    const validate = ajv.getSchema(ref) ?? ajv.compile({ $ref: ref });
    assert.ok(validate(value), `${what}: ${ajv.errorsText(validate.errors)}: ${JSON.stringify(value)}`);
}

const fixed = {
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'x-xss-protection': '0',
    'referrer-policy': 'no-referrer',
    'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=(), usb=()',
    'cache-control': 'no-store',
    vary: 'Origin',
};
const csp = "default-src 'none'; frame-ancestors 'none'";
const hsts = 'max-age=31536000; includeSubDomains';

/** The headers of every answer, whatever it is. env: what the server was configured with. */
export function assertHeaders(response, env) {
    for (const [name, value] of Object.entries(fixed))
        assert.deepEqual(response.headers.get(name), [value], name);
    const reportOnly = env.CSP_REPORT_ONLY === 'true';
    assert.equal(response.header('content-security-policy'), reportOnly ? undefined : csp);
    assert.equal(response.header('content-security-policy-report-only'), reportOnly ? csp : undefined);
    assert.equal(response.header('strict-transport-security'),
                 env.APP_ENV === 'production' ? hsts : undefined);
    assert.match(response.header('x-trace-id'), /^[0-9a-f]{32}$/);
    if (response.header('access-control-allow-origin') === '*')
        assert.equal(response.header('access-control-allow-credentials'), undefined,
                     'credentials with *');
}

/** RateLimit, RateLimit-Policy and Retry-After belong together. */
function assertRateLimit(response) {
    const policy = response.header('ratelimit-policy');
    const state = response.header('ratelimit');
    assert.equal(policy === undefined, state === undefined, 'RateLimit and its policy go together');
    assert.equal(response.header('retry-after') !== undefined, response.status === 429, 'Retry-After');
    if (policy === undefined) return;
    const [, name, quota] = /^"([a-z-]+)";q=(\d+);w=\d+$/.exec(policy) ?? assert.fail(policy);
    const [, same, left, reset] = /^"([a-z-]+)";r=(\d+);t=(\d+)$/.exec(state) ?? assert.fail(state);
    assert.equal(same, name);
    assert.ok(Number(left) < Number(quota), `${state} of ${policy}`);
    if (response.status === 429) {
        assert.equal(left, '0');
        assert.equal(response.header('retry-after'), reset);
        assert.match(response.json().error.message, new RegExp(`policy ${name} `));
    }
}

function assertError(response, body) {
    assertSchema('openapi#/components/schemas/Error', body, `status ${response.status}`);
}

function assertErrorFacts(response, body) {
    assert.equal(body.status, response.status);
    assert.equal(body.type, `urn:switchboard:error:${body.error.code}`);
    assert.equal(body.detail, body.error.message);
    assert.equal(body.error.fields !== undefined, body.error.code === 'validation_failed');
}

function assertBody(request, response) {
    const { method, target, accept } = request;
    const known = documented(target);
    const operation = openapi.paths[known]?.[(method === 'HEAD' ? 'get' : method).toLowerCase()];
    const said = operation?.responses[response.status];
    if (operation) assert.ok(said, `${method} ${known} documents no ${response.status}`);
    if (method === 'HEAD') return assert.equal(response.text, '', 'HEAD has no body');
    if (method === 'OPTIONS' && response.status === 200) return assert.equal(response.text, '');
    const [type, ...others] = Object.keys(said?.content ?? { 'application/json': null });
    const other = others.find((name) => name === accept); // asked for by its name alone
    if (other) return assert.equal(response.header('content-type'), other);
    if (type !== 'application/json') return assert.equal(response.header('content-type'), type);
    const problem = response.status >= 400 && accept?.includes('application/problem+json');
    assert.equal(response.header('content-type'), problem ? 'application/problem+json' : type);
    const body = response.json();
    assert.equal(body.traceId, response.header('x-trace-id'));
    if (said)
        assertSchema(pointer('paths', known, method.toLowerCase(), 'responses', response.status,
                             'content', type, 'schema'), body, `${method} ${known} ${response.status}`);
    else
        assertError(response, body);
    if (!known) assert.ok([400, 403, 404, 429, 503].includes(response.status), `${response.status}`);
    if (body.success === false) assertErrorFacts(response, body);
}

/** Fails unless response is one that request may get. Notes the call for support/coverage.mjs. */
export function assertContract(request, response, env) {
    assertHeaders(response, env);
    assertRateLimit(response);
    assertBody(request, response);
    const known = documented(request.target);
    if (known && process.env.SB_CALLED)
        appendFileSync(process.env.SB_CALLED, `${request.method} ${known} ${response.status}\n`);
}
