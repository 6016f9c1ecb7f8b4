// What the tests of the realtime endpoints share: servers before a stand-in of the OpenAI API.
import { startOpenai } from '../../upstreams/openai.mjs';
import { serve } from './server.mjs';

export const origin = 'https://app.example';

/** A stand-in, which ends with the process if not before. */
export async function startUpstream() {
    const openai = await startOpenai();
    process.on('exit', () => openai.certificates.remove());
    return openai;
}

/** A server that asks openai. env: more of its configuration. */
export const serveBefore = (openai, env = {}) => serve({
    ALLOWED_ORIGINS: origin, OPENAI_API_KEY: openai.key, OPENAI_BASE_URL: openai.url,
    UPSTREAM_CA_FILE: openai.caFile, OPENAI_TIMEOUT: '5', ...env,
});

/** What each fault of the stand-in comes to: [status, code, the upstream's own code in the log]. */
export const outcomes = {
    invalid_key: [502, 'upstream_error', 'invalid_api_key'],
    forbidden: [502, 'upstream_error', 'unsupported_country_region_territory'],
    quota: [502, 'upstream_error', 'insufficient_quota'],
    busy: [502, 'upstream_error', 'rate_limit_exceeded'],
    error: [502, 'upstream_error', '500'],
    overloaded: [502, 'upstream_error', 'server_is_overloaded'],
    retired: [502, 'upstream_error', 'model_not_found'],
    beta: [503, 'misconfigured', 'beta_api_shape_disabled'],
    redirect: [502, 'upstream_error', '302'],
    garbage: [502, 'upstream_error', ''],
    empty: [502, 'upstream_error', ''],
    html: [502, 'upstream_error', ''],
    cut: [502, 'upstream_error', ''],
    refused: [502, 'upstream_error', ''],
    oversized: [502, 'upstream_error', ''],
};
