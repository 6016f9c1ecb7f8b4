import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

/** The first truthy value that condition gives, asked every 20 ms; throws after deadlineMs. */
export async function eventually(what, condition, deadlineMs = 10000) {
    for (const end = Date.now() + deadlineMs; ;) {
        const value = await condition();
        if (value) return value;
        if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
        await pause(20);
    }
}

/**
 * The refusal that ask() gets when it is sent again and again under a policy of limit calls, of which
 * `before` were made already. Should a window end meanwhile some more pass, at most as many again.
 */
export async function exhaust(ask, limit, before = 0) {
    for (let passed = before; passed <= 2 * limit; passed++) {
        const response = await ask();
        if (response.status !== 429) continue;
        assert.ok(passed >= limit, `refused after ${passed} of ${limit}`);
        return response;
    }
    throw new Error(`${2 * limit} calls passed a limit of ${limit}`);
}
