// A stand-in for the OpenAI API that refuses whatever breaks its contract.
//
// In a test:  const openai = await startOpenai();  ... OPENAI_BASE_URL: openai.url ...
// By hand:    node tests/upstreams/openai.mjs [--port N] [--http]
//             prints the URL, the key it takes and the file of its authority; see StandIn.control().
import { pathToFileURL } from 'node:url';
import { audioRoutes } from './openai/audio.mjs';
import { chatRoutes } from './openai/chat.mjs';
import { API_KEY, checkHeaders } from './openai/common.mjs';
import { realtimeRoutes } from './openai/realtime.mjs';
import { StandIn } from './support/standin.mjs';

export class OpenaiStandIn extends StandIn {
    constructor({ key = API_KEY, ...options } = {}) {
        const guarded = [...realtimeRoutes, ...chatRoutes, ...audioRoutes].map((route) => ({
            ...route,
            handle(call) {
                checkHeaders(call, key);
                return route.handle.call(this, call);
            },
        }));
        super({ prefix: '/v1', routes: guarded, ...options });
        this.key = key;
        this.calls = new Map(); // realtime call id -> 'open' or 'ended'
        this.reply = () => 'Hello there. How can I help you today?'; // of the chat, from its request
        this.transcript = () => 'What are your opening hours?'; // of a recording
    }
}

export const startOpenai = (options) => new OpenaiStandIn(options).listen(options?.port);

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
    const at = process.argv.indexOf('--port');
    const openai = await startOpenai({ port: at < 0 ? 0 : Number(process.argv[at + 1]),
                                       tls: !process.argv.includes('--http') });
    openai.server.ref();
    console.log(`OPENAI_BASE_URL=${openai.url}\nOPENAI_API_KEY=${openai.key}`);
    if (openai.caFile) console.log(`UPSTREAM_CA_FILE=${openai.caFile}`);
    for (const signal of ['INT', 'TERM']) process.on(`SIG${signal}`, () => openai.close().then(() => process.exit(0)));
}
