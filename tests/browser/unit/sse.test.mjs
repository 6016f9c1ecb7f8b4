// The parser of events, whose pieces may end anywhere.
import assert from 'node:assert/strict';
import test from 'node:test';
import { load, stream } from '../support/www.mjs';

const { SwitchboardError } = await load('switchboard/error.js');
const { SseParser, readEvents } = await load('switchboard/sse.js');

/** What parser makes of the pieces: [type, data, id] of each event. */
function parse(pieces) {
    const events = [];
    const parser = new SseParser(({ type, data, lastEventId }) => events.push([type, data, lastEventId]));
    pieces.forEach((piece) => parser.feed(piece));
    return { events, parser };
}

const LINES = [': ping', '', 'event: delta', 'id: 7', 'data: {"text":"Grüße"}', '', 'data:one', 'data:  two', 'data',
               'unknown: field', 'retry: 250', '', 'event: nothing', '', 'data: end', '', ''];
const EXPECTED = [['delta', '{"text":"Grüße"}', '7'], ['message', 'one\n two\n', '7'], ['message', 'end', '7']];

for (const [name, end] of [['LF', '\n'], ['CR', '\r'], ['CRLF', '\r\n']]) {
    const text = LINES.join(end);

    test(`lines that end with ${name} are read the same, wherever they are cut in two`, () => {
        for (let at = 0; at <= text.length; at++)
            assert.deepEqual(parse([text.slice(0, at), text.slice(at)]).events, EXPECTED, `cut at ${at}`);
    });

    test(`lines that end with ${name} may come character by character, with empty pieces between`, () => {
        assert.deepEqual(parse([...text].flatMap((c) => [c, ''])).events, EXPECTED);
    });
}

test('an event is given as soon as its empty line is there, a CR included', () => {
    assert.equal(parse(['data: a\r\r']).events.length, 1);
});

test('a time to wait is taken where it is digits', () => {
    const { retryMs } = parse(['data: 9\nretry: soon\n\n']).parser;
    assert.equal(retryMs, null);
    assert.equal(parse(['retry: 250\nretry: 1s\n\n']).parser.retryMs, 250);
});

test('an event that the stream ends within is none', () => {
    assert.deepEqual(parse(['data: a\n\ndata: b\n']).events, [['message', 'a', '']]);
});

test('an id with a NUL and a retry that is no number are passed over', () => {
    const { parser } = parse(['id: a\n', 'id: b\0\n', 'retry: 1x\n', 'data: x\n\n']);
    assert.equal(parser.lastEventId, 'a');
    assert.equal(parser.retryMs, null);
});

test('an empty id takes the last one back', () => {
    assert.equal(parse(['id: a\ndata: x\n\n', 'id\ndata: y\n\n']).parser.lastEventId, '');
});

test('a byte order mark is dropped, and characters may be cut at any byte', async () => {
    const bytes = new TextEncoder().encode('\ufeffdata: Grüße €\n\n');
    for (let at = 0; at <= bytes.length; at++) {
        const events = [];
        const body = new ReadableStream({ start(controller) {
            controller.enqueue(bytes.slice(0, at));
            controller.enqueue(bytes.slice(at));
            controller.close();
        } });
        await readEvents(stream(body), new SseParser(({ data }) => events.push(data)));
        assert.deepEqual(events, ['Grüße €'], `cut at ${at}`);
    }
});

test('a stream that breaks is interrupted, whatever broke it', async () => {
    const body = new ReadableStream({ pull(controller) { controller.error(new TypeError('terminated')); } });
    await assert.rejects(readEvents(stream(body), new SseParser(() => {})),
                         (error) => error instanceof SwitchboardError && error.code === 'interrupted');
});

test('a stream on which not even a ping comes any more is interrupted, and let go of', async (t) => {
    const waits = [], seen = [];
    t.mock.method(globalThis, 'setTimeout', (run, ms) => { if (waits.push(ms) === 2) queueMicrotask(run); });
    let cancelled = false;
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('data: a\n\n')),
                                      cancel: () => { cancelled = true; } });
    await assert.rejects(readEvents(stream(body), new SseParser(({ data }) => seen.push(data))), { code: 'interrupted' });
    assert.deepEqual([seen, waits, cancelled], [['a'], [45000, 45000], true]);
});

test('an answer that is no stream of events is a bad one', async () => {
    await assert.rejects(readEvents(new Response('data: a\n\n', { headers: { 'Content-Type': 'text/html' } }),
                                    new SseParser(assert.fail)), { code: 'bad_answer', status: 200 });
});
