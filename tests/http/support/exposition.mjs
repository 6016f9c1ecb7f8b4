// Prometheus' text exposition format, read strictly.
import assert from 'node:assert/strict';

const label = /^([a-z_]+)="((?:[^"\\]|\\.)*)"(?:,|$)/;

function parseLabels(text) {
    const labels = {};
    for (let rest = text ?? ''; rest !== '';) {
        const [whole, name, value] = label.exec(rest) ?? assert.fail(`labels ${text}`);
        labels[name] = value;
        rest = rest.slice(whole.length);
    }
    return labels;
}

/** Families of a text of the format 0.0.4: {name: {type, help, samples: [{name, labels, value}]}}. */
export function parse(text) {
    const families = {};
    assert.ok(text.endsWith('\n'));
    for (const line of text.split('\n').slice(0, -1)) {
        const comment = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line);
        if (comment) {
            const [, what, name, value] = comment;
            families[name] ??= { samples: [] };
            assert.equal(families[name][what], undefined, `${what} of ${name} twice`);
            families[name][what] = value;
            continue;
        }
        const [, name, labels, value] = /^([a-z_]+)(?:\{(.*)\})? (\d+(?:\.\d+)?)$/.exec(line) ?? assert.fail(line);
        const family = name in families ? name : name.replace(/_(bucket|sum|count)$/, '');
        assert.ok(families[family]?.HELP && families[family].TYPE, `${name} has no HELP and TYPE before it`);
        families[family].samples.push({ name, labels: parseLabels(labels), value: Number(value) });
    }
    return families;
}
