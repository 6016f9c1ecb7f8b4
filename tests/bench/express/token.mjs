/* HS256 tokens by Node's own crypto, which is OpenSSL's. */
import { createHmac, timingSafeEqual } from 'node:crypto';

import { Refusal } from './refusal.mjs';

const SKEW_S = 5;

const decoded = (part) => JSON.parse(Buffer.from(part, 'base64url'));

function claimsOf(token, secret) {
  const [head, payload, signature, ...rest] = token.split('.');
  if (signature === undefined || rest.length > 0 || decoded(head).alg !== 'HS256') return {};
  const mac = createHmac('sha256', secret).update(`${head}.${payload}`).digest();
  const given = Buffer.from(signature, 'base64url');
  return given.length === mac.length && timingSafeEqual(mac, given) ? decoded(payload) : {};
}

/* The subject of an Authorization header's token: signature, exp, nbf and iat with 5 s of skew. */
export function subjectOf(authorization, secret) {
  let claims = {};
  try {
    claims = claimsOf((authorization ?? '').slice('Bearer '.length), secret);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const nowS = Date.now() / 1000;
  const sound = typeof claims.sub === 'string' && Number.isInteger(claims.exp)
    && claims.exp + SKEW_S > nowS && !(claims.nbf > nowS + SKEW_S) && !(claims.iat > nowS + SKEW_S);
  if (!sound) throw new Refusal(401, 'unauthenticated');
  return claims.sub;
}
