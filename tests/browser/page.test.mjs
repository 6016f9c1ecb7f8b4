// The receptionist's page in a real browser, with the programs of this machine behind it.
import assert from 'node:assert/strict';
import test, { after, describe } from 'node:test';
import { sql } from '../http/support/remains.mjs';
import { ends, servePages } from '../http/support/server.mjs';
import { close, launch, open, picture, speech, state } from './support/browser.mjs';

const env = { ENABLE_VISITORS: 'true', OPENAI_API_KEY: null, RATE_LIMIT_VOICE_CHAT: 'off', VOICE_TIMEOUT: '50' };
const HOURS = /^ReceptionOur opening hours are: Monday to Wednesday 08:00 to 18:00, .* Saturday and Sunday closed\.$/;

const question = speech('What are your opening hours?');
const server = await servePages(env);
const closed = await servePages({ ...env, ENABLE_VISITORS: 'false' });
const browser = await launch(question.file);
after(() => browser.close());

const said = (page, who) => page.locator(`#log li[data-who="${who}"]`);
const error = (page) => page.locator('#error:not(:empty)').textContent();

/** Until as much time has passed as the question takes to be said. */
const spoken = (page) => page.evaluate((ms) => new Promise((resolve) => { setTimeout(resolve, ms); }),
                                       question.seconds * 1000);

/** The answer is there in whole, and is being spoken. */
async function answered(page) {
    await page.waitForSelector('body[data-state="speaking"], #error:not(:empty)');
    assert.equal(await page.locator('#error').textContent(), '');
    await page.waitForSelector('#log[aria-busy="false"]');
    assert.match(await said(page, 'reception').textContent(), HOURS);
}

/** Its two clauses have been heard to the end. */
async function heard(page) {
    await page.waitForSelector('body[data-state="idle"][data-played="2"]');
    assert.match(await page.locator('#timings').textContent(), /Thinking[\d.]+ sSpeaking[\d.]+ sFirst sound[\d.]+ s/);
}

/** WCAG 2.1, 1.4.3: the contrast of all text on the page, by its computed colours. */
const weakest = (page) => page.evaluate(() => {
    const rgb = (text) => text.match(/[\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [[r, 0.2126], [g, 0.7152], [b, 0.0722]].reduce((sum, [value, weight]) => {
        const c = value / 255;
        return sum + weight * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    }, 0);
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const colour = rgb(getComputedStyle(element).backgroundColor);
            if ((colour[3] ?? 1) > 0) return colour;
        }
        return [255, 255, 255];
    };
    const texts = [...document.querySelectorAll('h1, p, button, label, input, dt, dd, li span')]
        .filter((element) => element.getClientRects().length > 0);
    const ratios = texts.map((element) => {
        const [a, b] = [rgb(getComputedStyle(element).color), behind(element)].map(luminance);
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    });
    return Math.min(...ratios);
});

// Four at a time, since most of it is listening and speaking. Each has a microphone of its own.
describe('the page', { concurrency: 4 }, () => {
    test('what is said while the button is held is written down, answered and spoken', async () => {
        const page = await open(browser, server.base);
        await picture(page, 'ready');
        await page.locator('#talk').hover();
        await page.mouse.down();
        await state(page, 'listening');
        await spoken(page);
        await picture(page, 'listening');
        await page.mouse.up();
        await answered(page);
        await picture(page, 'speaking');
        await heard(page);
        const transcript = await said(page, 'you').textContent();
        assert.match(transcript, /opening/);
        assert.match(transcript, /hours/);
        assert.match(await page.locator('#timings').textContent(), /Hearing[\d.]+ s/);
        await picture(page, 'answered');
        await close(page);
    });

    test('the space bar holds the button, and letting it go sends', async () => {
        const page = await open(browser, server.base);
        await page.locator('#talk').focus();
        await page.keyboard.down(' ');
        await state(page, 'listening');
        assert.ok(await page.getByRole('button', { name: 'Let go to send', exact: true }).isVisible());
        await spoken(page);
        await page.keyboard.up(' ');
        await answered(page);
        assert.match(await said(page, 'you').textContent(), /hours/);
        await close(page);
    });

    test('a question is typed, sent and answered by the keyboard alone, 320 pixels wide', async () => {
        const page = await open(browser, server.base, { width: 320, height: 640 });
        const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
        const order = [];
        for (let i = 0; i < 3; i++) {
            await page.keyboard.press('Tab');
            order.push(await focused());
        }
        assert.deepEqual(order, ['log', 'talk', 'question']);
        await page.keyboard.type('When do you open?');
        await page.keyboard.press('Enter');
        await answered(page);
        assert.equal(await said(page, 'you').textContent(), 'YouWhen do you open?');
        assert.ok(await page.locator('#again').isVisible());
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
        await picture(page, '320');
        await close(page);
    });

    test('turns are one conversation until a new one is begun', async () => {
        const page = await open(browser, server.base);
        const ids = [];
        page.on('request', (request) => {
            if (request.url().endsWith('/api/voice-chat')) ids.push(request.postDataJSON().sessionId);
        });
        const ask = async (text) => {
            const answers = said(page, 'reception');
            const before = await answers.count();
            await page.locator('#question').fill(text);
            await page.keyboard.press('Enter');
            await answers.nth(before).waitFor();
            await page.waitForSelector('#log[aria-busy="false"]');
        };
        const again = page.getByRole('button', { name: 'New conversation', exact: true });
        assert.equal(await again.count(), 0, 'there is none to end');
        await ask('When do you open?');
        await ask('Where can I park my car?');
        await picture(page, 'conversation');
        await again.click();
        assert.deepEqual([await page.locator('#log li').count(), await page.locator('#timings').isHidden(),
                          await again.count()], [0, true, 0]);
        assert.equal(await page.getByRole('status').textContent(), 'A new conversation. Ready.');
        assert.equal(await page.evaluate(() => document.activeElement.id), 'talk');
        await ask('When do you open?');
        assert.equal(ids.length, 3);
        assert.equal(ids[0], ids[1]);
        assert.notEqual(ids[1], ids[2]);
        const kept = (id) => sql(server, `SELECT count(*) FROM transcript_items i JOIN sessions s
            ON s.key = i.session WHERE s.kind = 'voice' AND s.id = '${id}'`);
        assert.deepEqual([kept(ids[1]), kept(ids[2])], ['4', '2']);
        const read = await page.evaluate(async (id) => {
            const { Switchboard } = await import('/switchboard.js');
            return (await new Switchboard().json(`/api/sessions/${id}/transcript`)).items.map(({ role }) => role);
        }, ids[2]);
        assert.deepEqual(read, ['user', 'assistant'], 'the visitor reads what it said');
        await close(page);
    });

    test('Escape silences the answer at once', async () => {
        const page = await open(browser, server.base);
        await page.locator('#question').fill('When do you open?');
        await page.keyboard.press('Enter');
        await state(page, 'speaking');
        assert.ok(await page.locator('#stop').isVisible());
        await page.keyboard.press('Escape');
        await state(page, 'idle');
        assert.equal(await page.locator('body').getAttribute('data-played'), '0');
        assert.ok(await page.locator('#stop').isHidden());
        await close(page);
    });

    test('what the server refuses is said, and the page is ready again', async () => {
        const page = await open(browser, closed.base);
        await page.locator('#question').fill('When do you open?');
        await page.locator('button[type=submit]').click();
        assert.match(await error(page), /^This site takes no visitors\. \(Reference: [0-9a-f]{32}\)$/);
        await state(page, 'idle');
        await picture(page, 'error');
        await close(page, ['Failed to load resource: the server responded with a status of 403 (Forbidden)']);
    });

    test('a microphone that is refused is said, and typing still works', async () => {
        const page = await open(browser, server.base, { init: () => {
            navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));
        } });
        await page.locator('#talk').hover();
        await page.mouse.down();
        assert.match(await error(page), /^The microphone is blocked\..* type your question below\.$/);
        await page.mouse.up();
        await page.locator('#question').fill('When do you open?');
        await page.keyboard.press('Enter');
        await answered(page);
        assert.equal(await page.locator('#error').textContent(), '');
        await close(page);
    });

    /** Presses twice, with the question between. */
    async function taps(page, tap) {
        await tap();
        await state(page, 'listening');
        assert.equal(await page.getByRole('status').textContent(), 'Listening. Press again to send.');
        assert.ok(await page.getByRole('button', { name: 'Press again to send', exact: true }).isVisible());
        await spoken(page);
        await tap();
        await answered(page);
        assert.match(await said(page, 'you').textContent(), /hours/);
        await close(page);
    }

    test('who cannot hold the button taps it, and taps it again to send', async () => {
        const page = await open(browser, server.base);
        await taps(page, () => page.locator('#talk').click());
    });

    test('assistive technology, which clicks without a pointer, does likewise', async () => {
        const page = await open(browser, server.base);
        await taps(page, () => page.locator('#talk').evaluate((talk) => talk.click()));
    });

    test('a tap that is followed by a click without detail, as some assistive technology does, is one tap', async () => {
        const page = await open(browser, server.base);
        await page.locator('#talk').click();
        await page.locator('#talk').evaluate((talk) => talk.click());
        await state(page, 'listening');
        assert.equal(await page.locator('#error').textContent(), '');
        await close(page);
    });

    test('the status keeps its words whole beside the buttons, at 390 pixels and with text of twice the size', async () => {
        const page = await open(browser, server.base, { width: 390, height: 844 });
        await page.locator('#question').fill('When do you open?');
        await page.keyboard.press('Enter');
        await answered(page);
        await page.locator('#talk').click();
        await state(page, 'listening');
        for (const size of ['100%', '200%']) {
            const lines = await page.evaluate((fontSize) => {
                document.documentElement.style.fontSize = fontSize;
                const status = document.getElementById('status');
                return status.offsetHeight / parseFloat(getComputedStyle(status).lineHeight);
            }, size);
            assert.ok(lines <= 2.1, `${lines} lines`);
            assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
        }
        await picture(page, 'tapped');
        await close(page);
    });

    test('what was tapped is discarded by Stop, and nothing is sent', async () => {
        const page = await open(browser, server.base);
        await page.locator('#talk').click();
        await state(page, 'listening');
        await page.locator('#stop').click();
        await state(page, 'idle');
        assert.equal(await said(page, 'you').count(), 0);
        assert.equal(await page.locator('#error').textContent(), '');
        await close(page);
    });

    test('two taps with nothing between them send nothing, and say how it is meant', async () => {
        const page = await open(browser, server.base);
        await page.locator('#talk').dblclick();
        assert.match(await error(page), /^I did not hear anything\. Hold the button while you speak, or /);
        assert.equal(await said(page, 'you').count(), 0);
        await close(page);
    });

    test('a recording that ends by itself is sent', async () => {
        const page = await open(browser, server.base, { init: () => {
            const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = async (what) => globalThis.microphone = await open(what);
        } });
        await page.locator('#talk').click();
        await state(page, 'listening');
        await spoken(page);
        await page.evaluate(() => globalThis.microphone.getTracks().forEach((track) => track.stop()));
        await answered(page);
        await close(page);
    });

    test('a question that failed is there to be sent again, and no timings are', async () => {
        const page = await open(browser, server.base);
        await page.locator('#question').fill('Where can I park my car?');
        await page.keyboard.press('Enter');
        await page.waitForSelector('#timings:not([hidden])');
        await page.route('**/api/voice-chat', (route) => route.fulfill({ status: 502, contentType: 'application/json',
            body: JSON.stringify({ success: false, traceId: 'f'.repeat(32), error: { code: 'upstream_error', message: 'x' } }) }));
        await page.locator('#question').fill('When do you open?');
        await page.keyboard.press('Enter');
        assert.match(await error(page), /^The receptionist cannot answer at the moment\. .* \(Reference: f{32}\)$/);
        assert.equal(await page.locator('#question').inputValue(), 'When do you open?');
        assert.ok(await page.locator('#timings').isHidden());
        await picture(page, 'failed');
        await close(page, ['Failed to load resource: the server responded with a status of 502 (Bad Gateway)']);
    });

    test('what is too long is called so, also by a proxy that answers with a page of its own', async () => {
        const page = await open(browser, server.base);
        await page.route('**/api/voice-chat', (route) => route.fulfill({ status: 413, contentType: 'text/html',
                                                                         body: '<html>413' }));
        await page.locator('#question').fill('When do you open?');
        await page.keyboard.press('Enter');
        assert.equal(await error(page), 'That was too long. Please ask a shorter question.');
        await close(page, ['Failed to load resource: the server responded with a status of 413 (Payload Too Large)']);
    });

    for (const [code, retryAfter, message] of [
        ['rate_limited', '7', /^Too many questions at once\. Please try again in 7 s\.$/],
        ['budget_exceeded', '7200', /^No more questions can be taken for now\. Please try again after \d{1,2}:\d\d( [AP]M)?\.$/],
        ['budget_exceeded', '', /^No more questions can be taken for now\. Please try again later\.$/]])
        test(`who is refused by ${code} for ${retryAfter || 'some'} seconds is told when to come back`, async () => {
            const page = await open(browser, server.base);
            await page.route('**/api/voice-chat', (route) => route.fulfill({ status: 429, contentType: 'application/json',
                headers: { 'Retry-After': retryAfter },
                body: JSON.stringify({ success: false, traceId: 'f'.repeat(32), error: { code, message: 'x' } }) }));
            await page.locator('#question').fill('When do you open?');
            await page.keyboard.press('Enter');
            assert.match(await error(page), message);
            await close(page, ['Failed to load resource: the server responded with a status of 429 (Too Many Requests)']);
        });

    test('everything on the page has a role and a name, and what changes is announced', async () => {
        const page = await open(browser, server.base);
        assert.equal(await page.locator('html').getAttribute('lang'), 'en');
        for (const [role, name] of [['heading', 'Reception'], ['log', 'Conversation'], ['button', 'Hold to talk'],
                                    ['textbox', 'Type your question'], ['button', 'Send']])
            assert.equal(await page.getByRole(role, { name, exact: true }).count(), 1, `${role} ${name}`);
        assert.equal(await page.getByRole('status').textContent(), 'Ready.');
        assert.equal(await page.locator('[role=alert]').count(), 1);
        assert.equal(await page.getByRole('log').getByRole('list').count(), 1, 'entries are items of a list');
        const unnamed = await page.$$eval('button, input, [tabindex]', (all) => all.filter((element) =>
            !element.textContent.trim() && !element.labels?.length && !element.getAttribute('aria-labelledby'))
            .map(({ outerHTML }) => outerHTML));
        assert.deepEqual(unnamed, []);
        const missing = await page.$$eval('[aria-describedby], [aria-labelledby]', (all) => all.flatMap((element) =>
            ['aria-describedby', 'aria-labelledby'].map((name) => element.getAttribute(name))
                .filter((id) => id !== null && !document.getElementById(id))));
        assert.deepEqual(missing, []);
        const small = await page.$$eval('button:not([hidden]), input', (all) => all.map((element) =>
            element.getBoundingClientRect()).filter(({ width, height }) => width < 44 || height < 44).length);
        assert.equal(small, 0);
        await close(page);
    });

    for (const colorScheme of ['light', 'dark'])
        test(`all text has enough contrast where the user wants it ${colorScheme}`, async () => {
            const page = await open(browser, closed.base, { colorScheme });
            await page.locator('#question').fill('When do you open?');
            await page.keyboard.press('Enter');
            await error(page);
            assert.ok(await weakest(page) >= 4.5, String(await weakest(page)));
            await picture(page, colorScheme);
            await page.context().close();
        });
});

test('the pages have their headers, what is missing too, and the API its own', async () => {
    for (const [target, status] of [['/', 200], ['/switchboard.js', 200], ['/switchboard/sse.js', 200], ['/none', 404]]) {
        const response = await fetch(server.base + target, { headers: { Connection: 'close' } });
        await response.text();
        assert.equal(response.status, status, target);
        assert.match(response.headers.get('content-security-policy'), /^default-src 'none'; script-src 'self'; /);
        assert.equal(response.headers.get('permissions-policy'), 'microphone=(self)');
        assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
        assert.equal(response.headers.get('cache-control'), 'no-cache');
        assert.equal(status !== 200 || response.headers.has('etag'), true, target);
    }
    const api = await server.call('/api/health'); // whose headers the contract judges
    assert.notEqual(api.header('permissions-policy'), 'microphone=(self)');
});

ends(server, closed);
