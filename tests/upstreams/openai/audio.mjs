// POST /audio/transcriptions and /audio/speech.
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ApiError } from '../support/errors.mjs';
import { parseMultipart } from '../support/multipart.mjs';
import { number, object, oneOf, text } from '../support/shape.mjs';
import { jsonBody, nowUs, reply, stream } from '../support/standin.mjs';
import { checkModel, refuseQuery } from './common.mjs';
import { voices } from './realtime.mjs';

export const transcriptionModels = ['gpt-transcribe'];
export const speechModels = ['gpt-4o-mini-tts', 'tts-1'];

const FILE_MAX = 25 * 1024 * 1024;
const fileTypes = { flac: /^audio\//, mp3: /^audio\//, mp4: /^(audio|video)\//, mpeg: /^(audio|video)\//,
                    mpga: /^audio\//, m4a: /^audio\//, ogg: /^audio\//, wav: /^audio\//, webm: /^(audio|video)\// };
const fields = { model: text({ min: 1 }), language: text({ pattern: /^[a-z]{2,3}$/ }), prompt: text(),
                 response_format: oneOf('json', 'text'), stream: oneOf('true', 'false') };

function checkFile(part) {
    if (!part) throw new ApiError(400, { code: 'missing_required_parameter', param: 'file' });
    const type = fileTypes[path.extname(part.filename ?? '').slice(1)];
    if (!type || !type.test(part.type ?? ''))
        throw new ApiError(400, { code: 'unsupported_value', param: 'file',
                                  message: `Unsupported file format: ${part.filename} (${part.type}).` });
    if (part.data.length === 0)
        throw new ApiError(400, { code: 'audio_too_short', param: 'file', message: 'Audio file is too short.' });
    if (part.data.length > FILE_MAX)
        throw new ApiError(413, { param: 'file', message: `Maximum content size limit (${FILE_MAX}) exceeded.` });
}

function transcribe(call) {
    refuseQuery(call);
    const parts = parseMultipart(call.headers['content-type'], call.body);
    checkFile(parts.get('file'));
    const asked = Object.fromEntries([...parts.values()].filter(({ name }) => name !== 'file')
        .map(({ name, data }) => [name, data.toString('utf8')]));
    object({ ...fields, 'model!': fields.model })(asked, '');
    checkModel(asked.model, transcriptionModels);
    const { filename, type, data } = parts.get('file');
    call.parsed = { ...asked, file: { filename, type, bytes: data.length } };
    return (answer) => {
        const said = this.transcript({ ...asked, data, filename, type });
        const usage = { type: 'duration', seconds: 1 };
        if (asked.stream !== 'true')
            return asked.response_format === 'text' ? answer.response.end(said) : reply({ text: said, usage })(answer);
        const events = said.match(/\s*\S+/g) ?? [];
        return stream([
            ...events.map((delta) => ({ data: { type: 'transcript.text.delta', delta } })),
            { data: { type: 'transcript.text.done', text: said, usage } },
        ], this.delaysMs.transcription_token ?? 0)(answer);
    };
}

const speechBody = object({
    'model!': text({ min: 1 }),
    'input!': text({ min: 1, max: 4096 }),
    'voice!': oneOf(...voices, 'fable', 'nova', 'onyx'),
    response_format: oneOf('mp3', 'opus', 'aac', 'flac', 'wav', 'pcm'),
    instructions: text(),
    speed: number({ min: 0.25, max: 4 }),
    stream_format: oneOf('audio', 'sse'),
});

const speechTypes = { mp3: 'audio/mpeg', opus: 'audio/ogg', aac: 'audio/aac', flac: 'audio/flac', wav: 'audio/wav',
                      pcm: 'audio/pcm' };
const SAMPLE_RATE = 24000;
const MS_PER_CHARACTER = 60;

/** A tone as long as the text would take to say: 16 bit, mono, 24 kHz. */
function tone(characters) {
    const samples = Math.floor(SAMPLE_RATE * characters * MS_PER_CHARACTER / 1000);
    const bytes = Buffer.alloc(2 * samples);
    for (let i = 0; i < samples; i++) bytes.writeInt16LE(Math.round(8000 * Math.sin(i * 0.06)), 2 * i);
    return bytes;
}

/** A WAV header of unknown length, as it is sent when the speech is still being made. */
function wavHeader() {
    const head = Buffer.alloc(44);
    head.write('RIFF\xff\xff\xff\xffWAVEfmt ', 0, 'latin1');
    head.writeUInt32LE(16, 16);
    head.writeUInt16LE(1, 20);
    head.writeUInt16LE(1, 22);
    head.writeUInt32LE(SAMPLE_RATE, 24);
    head.writeUInt32LE(2 * SAMPLE_RATE, 28);
    head.writeUInt16LE(2, 32);
    head.writeUInt16LE(16, 34);
    head.write('data\xff\xff\xff\xff', 36, 'latin1');
    return head;
}

/** Silent MPEG-1 layer III frames, 128 kbit/s at 44.1 kHz: any player takes them. */
function silentMp3(characters) {
    const frame = Buffer.alloc(417);
    frame.set([0xff, 0xfb, 0x90, 0x64]);
    return Buffer.concat(Array(Math.max(1, Math.ceil(characters * MS_PER_CHARACTER / 26))).fill(frame));
}

function speech(format, input) {
    if (format === 'pcm') return tone(input.length);
    if (format === 'wav') return Buffer.concat([wavHeader(), tone(input.length)]);
    if (format === 'mp3') return silentMp3(input.length);
    throw new ApiError(400, { code: 'unsupported_value', param: 'response_format',
                              message: `The stand-in does not make ${format}.` });
}

function say(call) {
    refuseQuery(call);
    const asked = jsonBody(call);
    speechBody(asked, '');
    checkModel(asked.model, speechModels);
    const format = asked.response_format ?? 'mp3';
    const bytes = speech(format, asked.input);
    call.parsed = asked;
    return async (answer) => {
        const { response, fault, times } = answer;
        if (asked.stream_format === 'sse')
            return stream([{ data: { type: 'speech.audio.delta', audio: bytes.toString('base64') } },
                           { data: { type: 'speech.audio.done', usage: {} } }])(answer);
        response.writeHead(200, { 'content-type': speechTypes[format] });
        for (let at = 0; at < bytes.length; at += 4096) {
            if (at > 0) await pause(this.delaysMs.speech_chunk ?? 0);
            if (at > 0 && fault === 'stream_cut') return response.socket.destroy();
            times.sentUs.push(nowUs());
            response.write(bytes.subarray(at, at + 4096));
        }
        response.end();
    };
}

export const audioRoutes = [
    { name: 'transcriptions', method: 'POST', path: /^\/audio\/transcriptions$/, handle: transcribe },
    { name: 'speech', method: 'POST', path: /^\/audio\/speech$/, handle: say },
];
