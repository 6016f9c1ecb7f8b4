/** An answer in the upstream's error shape: {error: {message, type, param, code}}. */
export class ApiError extends Error {
    constructor(status, { code = null, param = null, message = 'Refused.', type = 'invalid_request_error',
                          headers = {} } = {}) {
        super(message);
        Object.assign(this, { status, headers, body: { error: { message, type, param, code } } });
    }
}
