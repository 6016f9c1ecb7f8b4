// The ways an upstream fails. Each takes the place of the answer to a request that broke no contract.
import { ApiError } from './errors.mjs';

const fail = (status, error) => () => { throw new ApiError(status, error); };

const send = (response, status, headers, body) => {
    response.writeHead(status, headers);
    response.end(body);
};

const json = { 'content-type': 'application/json' };

export const faults = {
    invalid_key: fail(401, { code: 'invalid_api_key', message: 'Incorrect API key provided.' }),
    forbidden: fail(403, { code: 'unsupported_country_region_territory', type: 'request_forbidden' }),
    quota: fail(429, { code: 'insufficient_quota', type: 'insufficient_quota' }),
    busy: fail(429, { code: 'rate_limit_exceeded', type: 'requests', headers: { 'retry-after-ms': '20' } }),
    error: fail(500, { type: 'server_error', headers: { 'retry-after-ms': '20' } }),
    overloaded: fail(503, { code: 'server_is_overloaded', type: 'service_unavailable_error',
                            headers: { 'retry-after-ms': '20' } }),
    retired: fail(404, { code: 'model_not_found', message: 'The model has been retired.' }),
    beta: fail(400, { code: 'beta_api_shape_disabled', message: 'The beta shape of this API is shut down.' }),
    not_found: fail(404, { code: 'not_found' }),
    slow: () => {}, // the connection stays open and nothing comes
    garbage: (request, response) => send(response, 200, json, '{"value":"ek_cut in the mi'),
    empty: (request, response) => send(response, 200, json, '{}'),
    html: (request, response) => send(response, 200, { 'content-type': 'text/html' },
                                      '<html><body>A captive portal says hello.</body></html>'),
    cut: (request, response) => {
        response.writeHead(200, { ...json, 'content-length': '1000' });
        response.write('{"value":"ek_', () => response.socket.destroy());
    },
    refused: (request, response) => response.socket.destroy(),
    oversized: (request, response) => send(response, 200, json, `{"padding":"${'x'.repeat(32 << 20)}"}`),
    redirect: (request, response) => send(response, 302, { location: 'https://elsewhere.example/' }, ''),
    // In the middle of a stream (the routes that stream look for it).
    stream_error: null,
    stream_cut: null,
};
