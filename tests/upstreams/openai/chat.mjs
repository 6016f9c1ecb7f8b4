// POST /chat/completions, whole and streamed.
import { randomBytes } from 'node:crypto';
import { ApiError } from '../support/errors.mjs';
import { boolean, list, nullOr, number, object, oneOf, text, variants } from '../support/shape.mjs';
import { jsonBody, reply, stream } from '../support/standin.mjs';
import { checkModel, checkSafetyIdentifier } from './common.mjs';

export const chatModels = ['gpt-6-luna'];

const content = (value, at) => (Array.isArray(value)
    ? list(object({ 'type!': oneOf('text'), 'text!': text() }), { min: 1 })(value, at) : text()(value, at));
const called = object({ 'id!': text({ min: 1 }), 'type!': oneOf('function'),
                        'function!': object({ 'name!': text({ min: 1 }), 'arguments!': text() }) });
const message = variants('role', {
    developer: object({ 'role!': text(), 'content!': content, name: text() }),
    system: object({ 'role!': text(), 'content!': content, name: text() }),
    user: object({ 'role!': text(), 'content!': content, name: text() }),
    assistant: object({ 'role!': text(), content: nullOr(content), name: text(), tool_calls: list(called, { min: 1 }) }),
    tool: object({ 'role!': text(), 'content!': content, 'tool_call_id!': text({ min: 1 }) }),
});
const anything = (value) => value;
const tool = object({ 'type!': oneOf('function'),
                      'function!': object({ 'name!': text({ min: 1, max: 64 }), description: text(),
                                            parameters: anything, strict: boolean }) });
const body = object({
    'model!': text({ min: 1 }),
    'messages!': list(message, { min: 1 }),
    max_completion_tokens: number({ min: 1, whole: true }),
    stream: boolean,
    stream_options: object({ include_usage: boolean }),
    safety_identifier: text({ max: 64 }),
    reasoning_effort: oneOf('none', 'low', 'medium', 'high'),
    tools: list(tool),
    tool_choice: anything,
    response_format: anything,
    stop: anything,
    n: oneOf(1),
});

/** "One two." -> ["One", " two", "."]: what deltas look like. */
export const deltas = (reply_) => reply_.match(/\s*[\p{L}\p{N}']+|\s*[^\s\p{L}\p{N}']+/gu) ?? [];

function checkTogether(asked) {
    checkModel(asked.model, chatModels);
    checkSafetyIdentifier(asked.safety_identifier);
    if (asked.stream_options && !asked.stream)
        throw new ApiError(400, { param: 'stream_options', message: "'stream_options' is only allowed with 'stream'." });
    if (asked.tools?.length > 0 && asked.reasoning_effort !== 'none')
        throw new ApiError(400, { param: 'reasoning_effort', code: 'unsupported_value',
                                  message: "Function tools are only supported with reasoning_effort 'none'." });
}

export const chatRoutes = [{
    name: 'chat', method: 'POST', path: /^\/chat\/completions$/,
    handle(call) {
        const asked = jsonBody(call);
        body(asked, '');
        checkTogether(asked);
        call.parsed = asked;
        return (answer) => {
            const said = this.reply(asked);
            const common = { id: `chatcmpl-${randomBytes(8).toString('hex')}`, created: Math.floor(Date.now() / 1000),
                             model: asked.model, service_tier: 'default' };
            const usage = { prompt_tokens: 10, completion_tokens: deltas(said).length,
                            total_tokens: 10 + deltas(said).length };
            if (!asked.stream)
                return reply({ ...common, object: 'chat.completion', usage, choices: [
                    { index: 0, finish_reason: 'stop', logprobs: null,
                      message: { role: 'assistant', content: said, refusal: null } }] })(answer);
            const withUsage = asked.stream_options?.include_usage === true;
            const chunk = (choices, used = null) => ({ data: {
                ...common, object: 'chat.completion.chunk', choices, ...(withUsage ? { usage: used } : {}) } });
            const delta = (value, finish = null) => chunk([{ index: 0, delta: value, finish_reason: finish }]);
            return stream([
                delta({ role: 'assistant', content: '', refusal: null }),
                ...deltas(said).map((part) => delta({ content: part })),
                delta({}, 'stop'),
                ...(withUsage ? [chunk([], usage)] : []),
                { data: '[DONE]' },
            ], this.delaysMs.chat_token ?? 0)(answer);
        };
    },
}];
