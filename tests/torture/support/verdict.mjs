// What an answer under a fault may be: the success there would have been, or the one error shape
// with an error that says the server is at fault.
import assert from 'node:assert/strict';
import { PEER } from './faults.mjs';

const CODES = { internal: 500, misconfigured: 503, unavailable: 503, upstream_error: 502, upstream_timeout: 504 };

function field(head, name) {
    return new RegExp(`^${name}: (.*)$`, 'mi').exec(head)?.[1].trim();
}

function whole(answer) {
    assert.match(field(answer.head, 'X-Trace-Id') ?? '', /^[0-9a-f]{32}$/, 'a trace id');
    const length = field(answer.head, 'Content-Length'); // none where the body was streamed
    if (length !== undefined) assert.equal(Number(length), answer.body.length, 'the whole body');
    assert.equal(field(answer.head, 'X-Content-Type-Options'), 'nosniff', 'the security headers');
}

function assertError(answer) {
    const { json } = answer;
    assert.equal(CODES[json.error.code], answer.status, `${answer.status} with ${json.error.code}`);
    assert.equal(json.success, false);
    assert.equal(json.status, answer.status);
    assert.equal(json.traceId, field(answer.head, 'X-Trace-Id'));
    assert.equal(json.type, `urn:switchboard:error:${json.error.code}`);
    assert.equal(json.detail, json.error.message);
    assert.ok(json.title.length > 0 && json.error.message.length > 0);
}

// The members and their types, down to the leaves.
function shape(value) {
    if (Array.isArray(value)) return value.map(shape);
    if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shape(member)]));
}

// 'good' or 'error'; anything else throws. request.good: the statuses of success; like: a good answer
// whose shape this one's must have.
export function judge(answer, request, like) {
    assert.ok(answer.complete, 'a complete answer');
    whole(answer);
    if (!request.good.includes(answer.status)) {
        assert.ok(answer.status >= 500, `status ${answer.status}: ${answer.body}`);
        assertError(answer);
        return 'error';
    }
    if (request.text) assert.match(answer.body.toString(), request.text);
    else assert.equal(answer.json.traceId, field(answer.head, 'X-Trace-Id'));
    if (like && !request.text) assert.deepEqual(shape(answer.json), shape(like.json));
    return 'good';
}

// The same under a fault. Where it is the connection that fails, nobody gets the answer, and a
// request may not have come whole: that is 'broken', like a connection without an answer.
export function judgeFault(answer, request, fault, like) {
    if (fault.kinds !== PEER) return answer.complete ? judge(answer, request, like) : 'broken';
    try {
        return judge(answer, request, like);
    } catch {
        return 'broken';
    }
}

// The output of a CGI program as an answer.
export function cgiAnswer(stdout) {
    const split = stdout.indexOf('\r\n\r\n');
    const head = stdout.subarray(0, split < 0 ? 0 : split).toString();
    const body = split < 0 ? Buffer.alloc(0) : stdout.subarray(split + 4);
    return {
        status: Number(/^Status: (\d+)/m.exec(head)?.[1] ?? 0),
        head,
        body,
        get json() {
            return JSON.parse(body.toString());
        },
        complete: split >= 0,
    };
}
