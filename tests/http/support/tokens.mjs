// JSON web tokens made and taken apart with node:crypto, independently of the product.
import { createHmac } from 'node:crypto';

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
    .toString('base64url');

export const nowS = () => Math.floor(Date.now() / 1000);

export const hmac = (algorithm, secret, text, encoding) =>
    createHmac(algorithm, secret).update(text).digest(encoding);

/** Header and claims may be objects, or texts that are sent as they are. */
export function sign(secret, claims, header = { alg: 'HS256', typ: 'JWT' }, hash = 'sha256') {
    const input = `${encode(header)}.${encode(claims)}`;
    return `${input}.${hmac(hash, secret, input, 'base64url')}`;
}

/** {header, claims} of an HS256 token whose signature is right; throws otherwise. */
export function verify(secret, token) {
    const [header, claims, signature, ...rest] = token.split('.');
    if (rest.length > 0 || signature !== hmac('sha256', secret, `${header}.${claims}`, 'base64url'))
        throw new Error('the signature does not match');
    const parse = (part) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return { header: parse(header), claims: parse(claims) };
}
