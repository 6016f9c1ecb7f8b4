// What every route of the OpenAI stand-in asks for.
import { ApiError } from '../support/errors.mjs';

export const API_KEY = 'sk-stand-in-0123456789abcdef';

/** A header or member of ours that must be a hash of the user: opaque, at most 64 characters. */
export function checkSafetyIdentifier(value) {
    if (value !== undefined && !/^[A-Za-z0-9_-]{16,64}$/.test(value))
        throw new ApiError(400, { code: 'invalid_value', param: 'safety_identifier' });
}

/** Authorization, and the headers no request of today has. */
export function checkHeaders({ headers }, key) {
    const [scheme, token, ...rest] = (headers.authorization ?? '').split(' ');
    if (scheme !== 'Bearer' || !token || rest.length > 0)
        throw new ApiError(401, { message: "You didn't provide an API key." });
    if (token !== key) throw new ApiError(401, { code: 'invalid_api_key', message: 'Incorrect API key provided.' });
    if (headers['openai-beta'] !== undefined)
        throw new ApiError(400, { code: 'beta_api_shape_disabled', message: 'The beta shape is shut down.' });
    for (const name of ['openai-organization', 'openai-project'])
        if (headers[name] === '') throw new ApiError(400, { message: `${name} is empty.` });
    checkSafetyIdentifier(headers['openai-safety-identifier']);
}

export function checkModel(model, known) {
    if (!known.includes(model))
        throw new ApiError(404, { code: 'model_not_found', param: 'model',
                                  message: `The model '${model}' does not exist or you do not have access to it.` });
}

export function refuseQuery({ query }) {
    if (query !== undefined)
        throw new ApiError(400, { code: 'unknown_parameter', param: query.split('=')[0],
                                  message: `Unknown parameter in the query: '${query}'.` });
}
