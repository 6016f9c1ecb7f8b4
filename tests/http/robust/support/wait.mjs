// Waiting for conditions.
import { setTimeout as delay } from 'node:timers/promises';

// The condition's first truthy value; throws where there is none within withinMs.
export async function until(what, condition, withinMs = 5000) {
    const deadline = performance.now() + withinMs;
    for (;;) {
        const value = await condition();
        if (value) return value;
        if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
        await delay(5);
    }
}

// What promise gives, or an error naming what was waited for.
export async function within(what, promise, ms) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

// Calls work(index) for 0..count-1, width of them at a time.
export async function inParallel(count, width, work) {
    let next = 0;
    const lane = async () => {
        while (next < count) await work(next++);
    };
    await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}
