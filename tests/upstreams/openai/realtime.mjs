// POST /realtime/client_secrets, /realtime/calls, /realtime/calls/{id}/hangup.
import { randomBytes } from 'node:crypto';
import { ApiError } from '../support/errors.mjs';
import { parseMultipart } from '../support/multipart.mjs';
import { boolean, list, nullOr, number, object, oneOf, text, variants } from '../support/shape.mjs';
import { jsonBody, reply } from '../support/standin.mjs';
import { checkModel, refuseQuery } from './common.mjs';

export const realtimeModels = ['gpt-realtime-2.1-mini', 'gpt-realtime-2.1'];
export const voices = ['alloy', 'ash', 'ballad', 'coral', 'echo', 'sage', 'shimmer', 'verse', 'marin', 'cedar'];

const format = variants('type', {
    'audio/pcm': object({ 'type!': text(), rate: oneOf(24000) }),
    'audio/pcmu': object({ 'type!': text() }),
    'audio/pcma': object({ 'type!': text() }),
});
const wholeMs = number({ min: 0, whole: true });
const turnDetection = nullOr(variants('type', {
    server_vad: object({ 'type!': text(), threshold: number({ min: 0, max: 1 }), prefix_padding_ms: wholeMs,
                         silence_duration_ms: wholeMs, idle_timeout_ms: nullOr(wholeMs),
                         create_response: boolean, interrupt_response: boolean }),
    semantic_vad: object({ 'type!': text(), eagerness: oneOf('low', 'medium', 'high', 'auto'),
                           create_response: boolean, interrupt_response: boolean }),
}));
const audio = object({
    input: object({
        format,
        transcription: nullOr(object({ model: text({ min: 1 }), language: text(), prompt: text() })),
        noise_reduction: nullOr(object({ 'type!': oneOf('near_field', 'far_field') })),
        turn_detection: turnDetection,
    }),
    output: object({ format, voice: oneOf(...voices), speed: number({ min: 0.25, max: 1.5 }) }),
});
const tool = object({ 'type!': oneOf('function'), 'name!': text({ min: 1, max: 64 }), description: text(),
                      parameters: (value) => value });
const session = object({
    'type!': oneOf('realtime'),
    'model!': text({ min: 1 }),
    instructions: text(),
    output_modalities: list(oneOf('text', 'audio'), { min: 1, max: 1 }),
    audio,
    max_output_tokens: (value, at) => value === 'inf' || number({ min: 1, max: 4096, whole: true })(value, at),
    tools: list(tool),
    tool_choice: text(),
});
const secretBody = object({
    // The contract lets it out and then takes 600 s; whoever uses this API here must decide.
    'expires_after!': object({ 'anchor!': oneOf('created_at'), 'seconds!': number({ min: 10, max: 7200, whole: true }) }),
    'session!': session,
});

const id = (prefix) => `${prefix}_${randomBytes(12).toString('hex')}`;

/** The old shape had the session's members at the top, or was sent to another path. */
function refuseBeta(body) {
    if (body !== null && typeof body === 'object' && !('session' in body) && ('model' in body || 'voice' in body))
        throw new ApiError(400, { code: 'beta_api_shape_disabled',
                                  message: 'The Realtime Beta API is no longer supported. Please use /v1/realtime/client_secrets for the GA API.' });
}

function clientSecret(call) {
    const body = jsonBody(call);
    refuseBeta(body);
    secretBody(body, '');
    checkModel(body.session.model, realtimeModels);
    call.parsed = body;
    return (answer) => reply({
        value: `ek_${randomBytes(16).toString('hex')}`,
        expires_at: Math.floor(Date.now() / 1000) + body.expires_after.seconds,
        session: { object: 'realtime.session', id: id('sess'), ...body.session },
    })(answer);
}

function checkOffer(sdp) {
    if (!sdp) throw new ApiError(400, { code: 'missing_required_parameter', param: 'sdp' });
    const lines = sdp.data.toString('utf8').split('\r\n');
    if (sdp.type !== 'application/sdp' || lines[0] !== 'v=0' || !lines.some((line) => line.startsWith('m=audio ')))
        throw new ApiError(400, { code: 'invalid_offer', param: 'sdp', message: 'Could not parse the SDP offer.' });
}

const answerSdp = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 0.0.0.0', 't=0 0', 'a=group:BUNDLE 0',
                   'm=audio 9 UDP/TLS/RTP/SAVPF 111', 'a=mid:0', 'a=rtcp-mux', 'a=setup:active',
                   'a=rtpmap:111 opus/48000/2', ''].join('\r\n');

function openCall(call) {
    refuseQuery(call); // ?model= was the old shape's
    const parts = parseMultipart(call.headers['content-type'], call.body);
    const unknown = [...parts.keys()].find((name) => !['sdp', 'session'].includes(name));
    if (unknown !== undefined) throw new ApiError(400, { code: 'unknown_parameter', param: unknown });
    checkOffer(parts.get('sdp'));
    const given = parts.get('session');
    if (!given) throw new ApiError(400, { code: 'missing_required_parameter', param: 'session' });
    const asked = jsonBody({ headers: { 'content-type': given.type }, body: given.data });
    session(asked, 'session');
    checkModel(asked.model, realtimeModels);
    call.parsed = { session: asked, sdp: parts.get('sdp').data.toString('utf8') };
    return ({ response }) => {
        const callId = `rtc_${id('u0')}`;
        this.calls.set(callId, 'open');
        response.writeHead(201, { 'content-type': 'application/sdp', location: `/v1/realtime/calls/${callId}` });
        response.end(answerSdp);
    };
}

function hangUp(call) {
    refuseQuery(call);
    if (call.body.length > 0) throw new ApiError(400, { message: 'A hang-up has no body.' });
    const [, callId] = call.match;
    call.parsed = { callId };
    return ({ response }) => {
        if (this.calls.get(callId) !== 'open')
            throw new ApiError(404, { code: 'call_id_not_found', message: `No session found for call id ${callId}` });
        this.calls.set(callId, 'ended');
        response.writeHead(200);
        response.end();
    };
}

export const realtimeRoutes = [
    { name: 'client_secrets', method: 'POST', path: /^\/realtime\/client_secrets$/, handle: clientSecret },
    { name: 'calls', method: 'POST', path: /^\/realtime\/calls$/, handle: openCall },
    { name: 'hangup', method: 'POST', path: /^\/realtime\/calls\/([A-Za-z0-9_-]+)\/hangup$/,
      handle: hangUp },
    { name: 'beta', method: 'POST', path: /^\/realtime\/(sessions|transcription_sessions)$/,
      handle() { throw new ApiError(400, { code: 'beta_api_shape_disabled', message: 'The Realtime Beta API is no longer supported.' }); } },
];
