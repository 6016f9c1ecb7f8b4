// Recordings made by flite and ffmpeg, and what /api/voice-chat says of them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export const target = '/api/voice-chat';
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'voice-'));
process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }));

function run(program, args, input) {
    const done = spawnSync(program, args, { input, maxBuffer: 1 << 26 });
    assert.equal(done.status, 0, `${program}: ${done.error ?? done.stderr}`);
    return done.stdout;
}

const codecs = { webm: ['-c:a', 'libopus'], mka: ['-c:a', 'libvorbis', '-f', 'matroska'] };

/** What is said, recorded in a format that ffmpeg knows by the name's ending. */
export function record(said, extension = 'wav', voice = 'rms') {
    const wav = path.join(directory, `${voice}-${said.replace(/\W/g, '')}.wav`);
    if (!fs.existsSync(wav)) run('flite', ['-voice', voice, '-t', said, '-o', wav]);
    if (extension === 'wav') return fs.readFileSync(wav);
    const file = path.join(directory, `out.${extension}`);
    run('ffmpeg', ['-v', 'error', '-y', '-i', wav, ...codecs[extension] ?? [], file]);
    return fs.readFileSync(file);
}

/** Seconds of nothing, in a format by ffmpeg's name. */
export const silence = (seconds, format = 'wav') => run('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i',
    'anullsrc=r=16000:cl=mono', '-t', String(seconds), ...codecs[format] ?? [], '-f', format, 'pipe:1']);

/** Seconds of a tone, whose time stamps leave two minutes out behind the first of them. */
export const tone = (seconds, format) => run('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i',
    `sine=r=16000:d=${seconds},asetpts=PTS+gte(T\\,1)*120/TB`,
    ...format === 'webm' ? ['-c:a', 'libvorbis'] : [], '-f', format, 'pipe:1']);

/** The words that an independent run of the recogniser hears in audio. */
export function heard(audio) {
    const pcm = run('ffmpeg', ['-v', 'error', '-i', 'pipe:0', '-ac', '1', '-ar', '16000', '-f', 's16le', 'pipe:1'], audio);
    const file = path.join(directory, 'heard.raw');
    fs.writeFileSync(file, pcm);
    return run('pocketsphinx_continuous', ['-infile', file, '-logfn', '/dev/null']).toString();
}

/** A form with audio and fields. */
export function form(audio, fields = {}) {
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) body.set(name, value);
    if (audio) body.set('audio', new Blob([audio]), 'recording');
    return body;
}

/** The events of a stream's text: [{event, data}]. */
export const events = (text) => text.split('\n\n').filter((part) => part.includes('data: ')).map((part) => ({
    event: /^event: (.*)$/m.exec(part)?.[1], data: JSON.parse(/^data: (.*)$/m.exec(part)[1]) }));

/** The audio of a stream's events, each clause whole and in order. */
export function clauses(list) {
    const whole = [];
    for (const { data } of list.filter(({ event }) => event === 'audio')) {
        assert.ok(data.clause === whole.length || data.clause === whole.length - 1, 'clauses come in order');
        if (data.clause === whole.length) whole.push({ parts: [], last: false });
        assert.ok(!whole[data.clause].last, 'nothing comes behind the last of a clause');
        whole[data.clause].parts.push(Buffer.from(data.data, 'base64'));
        whole[data.clause].last = data.last;
    }
    for (const { last } of whole) assert.ok(last, 'every clause ends');
    return whole.map(({ parts }) => Buffer.concat(parts));
}

/** What is left in temp_audio. */
export const leftovers = (server) => {
    const place = path.join(server.env.STATE_DIR, 'temp_audio');
    return fs.existsSync(place) ? fs.readdirSync(place) : [];
};
