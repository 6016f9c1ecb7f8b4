// One fault at every position in turn, with a verdict on each.
import assert from 'node:assert/strict';
import fs from 'node:fs';

const SHOWN = 4;
const WRONG_MAX = 40;
const POSITIONS_MAX = 100000;

// Runs attempt(at) for at = 1, 2, ..., beyond `dense` only every stride-th, until a fault was no
// longer reached, width at a time. attempt gives { hit, outcome }: whether the fault came, and how the program took it; it
// throws what is wrong. name and counts go to the report of `run`.
export async function sweep(name, attempt, { dense = 100, stride = 1, width = 1 } = {}) {
    const counts = { positions: 0, good: 0, error: 0, broken: 0, ended: 0 };
    const wrong = [];
    let next = 1, over = false;
    const lane = async () => {
        while (!over) {
            const at = next;
            next += at < dense ? 1 : stride;
            assert.ok(at < POSITIONS_MAX, `${name} has no end`);
            try {
                const { hit, outcome } = await attempt(at);
                if (!hit) over = true;
                else {
                    counts.positions++;
                    counts[outcome]++;
                }
            } catch (error) {
                wrong.push(`  at ${at}: ${error.stack.split('\n    at ')[0]}\n      ${error.site ?? ''}`);
                counts.positions++;
                over ||= wrong.length === WRONG_MAX;
            }
        }
    };
    await Promise.all(Array.from({ length: width }, lane));
    report(name, counts, stride, dense);
    assert.equal(wrong.length, 0, `${wrong.length} of ${counts.positions}\n${wrong.slice(0, SHOWN).join('\n')}`);
    assert.ok(counts.positions > 0, 'nothing was made to fail');
    return counts;
}

function report(name, counts, stride, dense) {
    const line = [name, counts.positions, counts.good, counts.error, counts.broken, counts.ended, stride, dense].join('\t');
    if (process.env.SB_TORTURE_REPORT) fs.appendFileSync(process.env.SB_TORTURE_REPORT, `${line}\n`);
}
