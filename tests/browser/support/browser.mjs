// Chromium, with a microphone into which somebody speaks, and a page that is watched for faults.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { root, server as kind } from '../../http/support/context.mjs';

const RATE_HZ = 48000;
export const PATIENCE_MS = 60000; // recognition takes seconds on a machine that is busy

/** A WAV file of text being said: {file, seconds}. */
export function speech(text) {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'sb-speech-'));
    const [said, file] = [path.join(directory, 'said.wav'), path.join(directory, 'microphone.wav')];
    execFileSync('flite', ['-voice', 'rms', '-t', text, '-o', said]);
    execFileSync('ffmpeg', ['-v', 'error', '-i', said, '-ar', RATE_HZ, '-ac', 1, '-sample_fmt', 's16',
                            '-af', 'adelay=300,apad=pad_dur=0.7', file]);
    return { file, seconds: statSync(file).size / (2 * RATE_HZ) };
}

/** Fails where there is no /usr/bin/chromium. file is what each page's microphone hears, once. */
export const launch = (file) => chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
           `--use-file-for-fake-audio-capture=${file}%noloop`, ...(process.getuid() === 0 ? ['--no-sandbox'] : [])],
});

/**
 * A new page at base, whose faults are collected: errors of scripts and of the console, and
 * violations of the Content-Security-Policy.
 */
export async function open(browser, base, { width = 1024, height = 768, init, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width, height }, reducedMotion: 'reduce', ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.faults = [];
    page.on('pageerror', (error) => page.faults.push(String(error)));
    page.on('console', (message) => { if (message.type() === 'error') page.faults.push(message.text()); });
    await page.exposeFunction('reportViolation', (text) => page.faults.push(text));
    await page.addInitScript(() => addEventListener('securitypolicyviolation',
        (event) => globalThis.reportViolation(`${event.violatedDirective}: ${event.blockedURI}`)));
    if (init) await page.addInitScript(init);
    await page.goto(`${base}/`);
    return page;
}

export const state = (page, name) => page.waitForSelector(`body[data-state="${name}"]`);

/** A picture for people, build/browser/SERVER-NAME.png. */
export async function picture(page, name) {
    const directory = path.join(root, 'build/browser');
    mkdirSync(directory, { recursive: true });
    await page.screenshot({ path: path.join(directory, `${kind}-${name}.png`) });
}

export async function close(page, faults = []) {
    assert.deepEqual(page.faults, faults);
    await page.context().close();
}
