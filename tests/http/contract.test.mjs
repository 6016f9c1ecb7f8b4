// The document clients are made from, against the programs that answer.
import assert from 'node:assert/strict';
import test from 'node:test';
import { endpoints, openapi } from './support/contract.mjs';

for (const { name, paths } of endpoints.filter((endpoint) => endpoint.name !== 'not-found'))
    test(`docs/openapi.json says of ${name} what the endpoint says of itself`, () => {
        assert.ok(Object.keys(paths).length > 0);
        for (const [path, operations] of Object.entries(paths))
            assert.deepEqual(openapi.paths[path], operations, `${path}: run make docs`);
    });

test('docs/openapi.json holds nothing that no endpoint answers', () => {
    const answered = endpoints.flatMap(({ paths }) => Object.keys(paths));
    assert.deepEqual(Object.keys(openapi.paths).sort(), answered.sort());
});

test('not-found is no path of its own', () => {
    assert.deepEqual(endpoints.find(({ name }) => name === 'not-found').paths, {});
});

test('every operation says who may call it and how often', () => {
    for (const operation of Object.values(openapi.paths).flatMap(Object.values)) {
        assert.ok(Array.isArray(operation.security), operation.operationId);
        const { policy, limit, windowSeconds } = operation['x-rate-limit'];
        assert.ok(policy && limit > 0 && windowSeconds > 0, operation.operationId);
    }
});

test('operation ids are unique', () => {
    const ids = Object.values(openapi.paths).flatMap(Object.values).map(({ operationId }) => operationId);
    assert.equal(new Set(ids).size, ids.length);
});
