// One line a failed test with its reason, and the counts for `run` at the end.
import { inspect } from 'node:util';

export default async function* report(source) {
    const counts = { passed: 0, failed: 0 };
    for await (const { type, data } of source) {
        if (type === 'test:diagnostic' && !/^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) /.test(data.message))
            yield `     ${data.message}\n`;
        if (type !== 'test:pass' && type !== 'test:fail') continue;
        if (data.details?.type === 'suite') {
            if (type === 'test:fail' && data.details.error?.failureType !== 'subtestsFailed')
                counts.failed++;
            continue;
        }
        const good = type === 'test:pass' && data.skip === undefined && data.todo === undefined;
        counts[good ? 'passed' : 'failed']++;
        const took = Math.round(data.details?.duration_ms ?? 0);
        yield `${good ? 'ok  ' : 'FAIL'} ${data.name} (${took} ms)\n`;
        if (!good) yield `${inspect(data.details?.error?.cause ?? data.details?.error ?? 'skipped')}\n`;
    }
    yield `# ${counts.passed} ${counts.failed}\n`;
}
