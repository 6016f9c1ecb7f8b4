// A stand-in for ElevenLabs' speech that refuses whatever breaks its contract.
import { setTimeout as pause } from 'node:timers/promises';
import { ApiError } from './support/errors.mjs';
import { number, object, text } from './support/shape.mjs';
import { jsonBody, StandIn } from './support/standin.mjs';

const body = object({
    'text!': text({ min: 1, max: 5000 }),
    'model_id!': text({ min: 1 }),
    voice_settings: object({ stability: number({ min: 0, max: 1 }), similarity_boost: number({ min: 0, max: 1 }) }),
    previous_text: text(),
    next_text: text(),
});

const models = ['eleven_flash_v2_5', 'eleven_multilingual_v2'];
const formats = ['output_format=mp3_44100_128', 'output_format=mp3_22050_32'];

/** ElevenLabs' own shape of an error. */
function refuse(status, name, message) {
    const error = new ApiError(status, { message });
    error.body = { detail: { status: name, message } };
    throw error;
}

const frame = Buffer.alloc(417);
frame.set([0xff, 0xfb, 0x90, 0x64]);

function speak(call) {
    if (call.headers['xi-api-key'] !== this.key) refuse(401, 'invalid_api_key', 'Invalid API key.');
    if (call.headers.authorization) refuse(400, 'bad_request', 'No bearer token is known here.');
    if (!formats.includes(call.query)) refuse(422, 'invalid_output_format', String(call.query));
    if (call.match[1] !== this.voice) refuse(404, 'voice_not_found', 'A voice for the voice_id was not found.');
    const asked = jsonBody(call);
    body(asked, '');
    if (!models.includes(asked.model_id)) refuse(400, 'model_not_found', asked.model_id);
    call.parsed = asked;
    return async ({ response, fault }) => {
        response.writeHead(200, { 'content-type': 'audio/mpeg' });
        for (let i = 0; i < 4; i++) {
            if (i > 0) await pause(this.delaysMs.speech_chunk ?? 0);
            if (i > 0 && fault === 'stream_cut') return response.socket.destroy();
            response.write(frame);
        }
        response.end();
    };
}

export class ElevenlabsStandIn extends StandIn {
    constructor(options = {}) {
        super({ prefix: '', routes: [{ name: 'speech', method: 'POST', handle: speak,
                                       path: /^\/v1\/text-to-speech\/([A-Za-z0-9]+)\/stream$/ }], ...options });
        this.key = 'xi-stand-in-key-0123456789';
        this.voice = '21m00Tcm4TlvDq8ikWAM';
    }
}

export const startElevenlabs = (options) => new ElevenlabsStandIn(options).listen();
