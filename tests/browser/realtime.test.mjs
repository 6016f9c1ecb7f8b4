// A realtime session over real WebRTC in Chromium: the API is a second peer in the page, which sends a
// tone and speaks the data channel. Only its HTTP is made up.
import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { eventually } from '../http/support/poll.mjs';
import { ends, servePages } from '../http/support/server.mjs';
import { PATIENCE_MS, close, launch, open, speech } from './support/browser.mjs';

const server = await servePages({ ENABLE_VISITORS: 'true', OPENAI_API_KEY: null });
const browser = await launch(speech('Hello').file);
after(() => browser.close());

/** Puts a session into the page: api (its peers, newest last), session, told (telemetry), events, ended. */
async function begin(page, options = {}) {
    await page.route('**/api/realtime/token', (route) => route.fulfill({ json: { success: true, client_secret: 'ek_x',
        url: 'https://realtime.invalid/v1/realtime/calls', maxSessionSeconds: 3600 } }));
    await page.evaluate(async (options) => {
        const { Switchboard } = await import('/switchboard.js');
        const api = globalThis.api = [];
        const answer = async (url, { body, headers }) => {
            const tone = new AudioContext();
            const [source, sink] = [tone.createOscillator(), tone.createMediaStreamDestination()];
            source.connect(sink);
            source.start();
            const peer = new RTCPeerConnection();
            api.push(peer);
            peer.secret = headers.Authorization;
            peer.heard = new Promise((resolve) => { peer.ontrack = ({ track }) => resolve(track.kind); });
            peer.ondatachannel = ({ channel }) => {
                peer.channel = channel;
                channel.onmessage = ({ data }) => channel.send(JSON.stringify({ type: 'echo', of: JSON.parse(data) }));
            };
            peer.addTrack(sink.stream.getTracks()[0], sink.stream);
            await peer.setRemoteDescription({ type: 'offer', sdp: body });
            await peer.setLocalDescription(await peer.createAnswer());
            await new Promise((resolve) => {
                if (peer.iceGatheringState === 'complete') resolve();
                peer.onicegatheringstatechange = () => { if (peer.iceGatheringState === 'complete') resolve(); };
            });
            return new Response(peer.localDescription.sdp, { status: 201 });
        };
        Object.assign(globalThis, { told: [], heardEvents: [], ended: undefined, tracks: 0 });
        globalThis.session = new Switchboard({ getToken: () => 'a.b.c' }).realtime({
            fetch: answer, pause: () => Promise.resolve(), ...options,
            microphone: async () => globalThis.mine = await navigator.mediaDevices.getUserMedia({ audio: true }),
            onTrack: (stream) => { globalThis.tracks += stream.getAudioTracks().length; },
            onEvent: (event) => globalThis.heardEvents.push(event),
            onTelemetry: (record) => globalThis.told.push(record),
            onEnd: (error) => { globalThis.ended = error === null ? 'well' : error.code; },
        });
        await globalThis.session.start();
    }, options);
}

/** Not waitForFunction(), which the page's Content-Security-Policy refuses. */
const until = (page, what) => eventually(String(what), () => page.evaluate(what), PATIENCE_MS);

const told = (page) => page.evaluate(() => globalThis.told.map(({ event, reason }) => [event, reason].filter(Boolean).join(' ')));

test('sound and events go both ways, and stop() lets the microphone go', async () => {
    const page = await open(browser, server.base);
    await begin(page);
    assert.equal(await page.evaluate(() => globalThis.api[0].secret), 'Bearer ek_x');
    assert.equal(await page.evaluate(() => globalThis.api[0].heard), 'audio');
    await until(page, () => globalThis.tracks === 1);
    assert.equal(await page.evaluate(() => globalThis.session.send({ type: 'response.create' })), true);
    await until(page, () => globalThis.heardEvents[0]?.of.type === 'response.create');
    await page.evaluate(() => globalThis.session.stop());
    assert.equal(await page.evaluate(() => globalThis.mine.getTracks()[0].readyState), 'ended');
    assert.equal(await page.evaluate(() => globalThis.ended), 'well');
    assert.equal(await page.evaluate(() => globalThis.session.send({})), false);
    assert.deepEqual(await told(page), ['connected', 'ended stopped']);
    await close(page);
});

test('a connection that breaks is made again, as often as is allowed', async () => {
    const page = await open(browser, server.base);
    await begin(page, { maxRestarts: 1 });
    const hangUp = (index) => page.evaluate((at) => globalThis.api[at].close(), index);
    await hangUp(0);
    await until(page, () => globalThis.told.filter(({ event }) => event === 'connected').length === 2);
    assert.equal(await page.evaluate(() => globalThis.session.send({ type: 'again' })), true);
    assert.equal(await page.evaluate(() => globalThis.mine.getTracks()[0].readyState), 'live');
    await hangUp(1);
    await until(page, () => globalThis.ended !== undefined);
    assert.equal(await page.evaluate(() => globalThis.ended), 'connection_failed');
    assert.equal(await page.evaluate(() => globalThis.mine.getTracks()[0].readyState), 'ended');
    assert.deepEqual(await told(page), ['connected', 'restart connection_failed', 'connected', 'ended failed']);
    await close(page);
});

ends(server);
