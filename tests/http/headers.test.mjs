// What call() checks of every answer, under the settings that change it.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ends, serve } from './support/server.mjs';

const production = await serve({
    APP_ENV: 'production', PRODUCTION_DOMAIN: 'www.example.com', METRICS_TOKEN: 'metrics-token-of-20',
    JITSI_DOMAIN: 'meet.example.com', JITSI_PUBLIC_HOST: 'meet.example.com',
    TURN_HOST: 'turn.example.com', TURN_SECRET: 'turn-secret-of-the-tests',
});
const reportOnly = await serve({ CSP_REPORT_ONLY: 'true' });

const answers = { 200: '/api/health', 404: '/api/nothing', 405: '/api/calls/start', 410: '/api/realtime-websocket' };

for (const [status, target] of Object.entries(answers)) {
    test(`in production a ${status} carries HSTS`, async () => {
        const response = await production.call(target);
        assert.equal(response.status, Number(status));
        assert.equal(response.header('strict-transport-security'), 'max-age=31536000; includeSubDomains');
    });

    test(`with CSP_REPORT_ONLY a ${status} carries the policy as report-only`, async () => {
        const response = await reportOnly.call(target);
        assert.equal(response.status, Number(status));
        assert.match(response.header('content-security-policy-report-only'), /default-src 'none'/);
        assert.equal(response.header('content-security-policy'), undefined);
    });
}

test('in development there is no HSTS', async () => {
    assert.equal((await reportOnly.call('/api/health')).header('strict-transport-security'), undefined);
});

test('a complete production configuration is ready', async () => {
    assert.equal((await production.call('/api/health/ready')).json().status, 'ready');
});

test('an error is application/problem+json where the client asks for it', async () => {
    const response = await reportOnly.call('/api/nothing', { accept: 'application/problem+json' });
    assert.equal(response.header('content-type'), 'application/problem+json');
    const { type, title, status, detail } = response.json();
    assert.deepEqual({ type, title, status, detail }, {
        type: 'urn:switchboard:error:not_found', title: 'Not found', status: 404,
        detail: 'There is nothing here.',
    });
});

test('a success is application/json even so', async () => {
    const response = await reportOnly.call('/api/health', { accept: 'application/problem+json' });
    assert.equal(response.header('content-type'), 'application/json');
});

ends(production, reportOnly);
