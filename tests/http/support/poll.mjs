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
