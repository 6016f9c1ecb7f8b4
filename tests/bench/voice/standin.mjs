// The provider of the voice bench: the stand-in of the tests, which waits as POST /stand-in/delays
// says, and keeps when it had each request and when each piece of the answer went out. It prints what
// the server is to be configured with.
import { startOpenai } from '../../upstreams/openai.mjs';
import { numberIn, replyTo, sayNumber } from './said.mjs';

const openai = await startOpenai();
openai.server.ref();
openai.transcript = ({ data }) => sayNumber(numberIn(data));
openai.reply = ({ messages }) => replyTo(messages.at(-1).content);
console.log(`OPENAI_BASE_URL=${openai.url}\nOPENAI_API_KEY=${openai.key}\nUPSTREAM_CA_FILE=${openai.caFile}`);
for (const signal of ['INT', 'TERM']) process.on(`SIG${signal}`, () => openai.close().then(() => process.exit(0)));
